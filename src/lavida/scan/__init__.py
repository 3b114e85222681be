"""Many videos in, one Parquet data set out: resumable, in one process or on a Ray cluster."""

from lavida.scan.run import ScanReport, scan
from lavida.scan.videos import Video

__all__ = ["ScanReport", "Video", "scan"]
