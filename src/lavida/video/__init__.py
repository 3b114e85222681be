"""From a video file or a folder of images to frames, and from frames to clips (`lavida.video.clips`)."""

from lavida.video.decode import Footage, Frame, ImageFolder, Source, SourceInfo, default_stride, open_source

__all__ = ["Footage", "Frame", "ImageFolder", "Source", "SourceInfo", "default_stride", "open_source"]
