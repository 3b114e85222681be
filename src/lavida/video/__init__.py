"""From a video file or a folder of images to frames (`decode.open_source`), and from frames to clips (`clips`)."""
