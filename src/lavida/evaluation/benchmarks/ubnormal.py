"""UBnormal: virtual scenes with people, fires and accidents (Acsintoae et al., CVPR 2022)."""

import re
from collections.abc import Iterable, Iterator
from functools import cached_property
from pathlib import Path
from typing import NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray

from lavida.errors import InputError
from lavida.evaluation.benchmarks.official import FROM_ZERO_INCLUSIVE, Benchmark, Expected, Interval, Listed, Video
from lavida.evaluation.benchmarks.places import first_file, homes, numbered_lines
from lavida.files import as_stored
from lavida.video.decode import open_source

CATEGORIES = (
    "running", "jumping", "falling", "fighting", "sleeping", "crawling", "having a seizure", "laying down", "dancing",
    "stealing", "rotating 360 degrees", "shuffling", "injured", "drunk", "stumbling walk", "car accident", "fire",
    "smoke", "jaywalking", "driving outside lane",
)  # fmt: skip
LISTS = {"abnormal_test_video_names.txt": True, "normal_test_video_names.txt": False}

_HOMES = {"ubnormal"}
_NAME = re.compile(r"[^_]*_scene_\d+_")


class Track(NamedTuple):
    """An object that is abnormal from frame `start` to frame `end`, both counted from 0 and included."""

    number: int  # its gray value in the masks
    start: int
    end: int


class Ubnormal(Benchmark):
    """UBnormal: `Scene1/<video>.mp4`, with `<video>_annotations/` beside it, and the official split lists.

    The annotation folder of an abnormal video holds `<video>_tracks.txt`, a line `object,start,end` for each anomaly
    with frames from 0 and ends included, as the authors' scripts read it, and `<video>_0000_gt.png`, in which every
    object, normal ones too, has its number as gray value. Normal videos need no annotation.
    """

    name = "ubnormal"
    title = "UBnormal"
    layout = "Scene1/<video>.mp4, Scene1/<video>_annotations/<video>_tracks.txt and abnormal_test_video_names.txt"
    categories = CATEGORIES
    expected = Expected(videos=211, abnormal_videos=158)
    interval_rule = FROM_ZERO_INCLUSIVE

    def _list(self, root: Path) -> list[Listed]:
        folders = homes(root, _HOMES)
        found = {name: first_file(folders, [name, f"scripts/{name}"]) for name in LISTS}
        lists = {name: path for name, path in found.items() if path is not None}
        if len(lists) < len(LISTS):
            raise self._not_here(root, *(name for name in LISTS if name not in lists))
        self._videos = next((folder for folder in folders if any(folder.glob("Scene[0-9]*/"))), root)
        self._abnormal: dict[str, bool] = {}
        for name, path in lists.items():
            for _, line in numbered_lines(path):
                video = line.strip()
                if not _NAME.match(video):
                    raise InputError(f"not a video of UBnormal: {video!r} in {path}; restore the official file")
                if video in self._abnormal:
                    raise InputError(f"{video} is listed twice, the second time in {path}; restore the official file")
                self._abnormal[video] = LISTS[name]
        return [
            Listed(
                name=name,
                source=as_stored(self._annotations(name).with_name(f"{name}.mp4")),
                abnormal=abnormal,
                lacks=(tracks,) if abnormal and not (tracks := self._tracks_file(name)).is_file() else (),
            )
            for name, abnormal in self._abnormal.items()
        ]

    def _annotations(self, name: str) -> Path:
        return self._videos / f"Scene{name.split('_')[2]}" / f"{name}_annotations"

    def _tracks_file(self, name: str) -> Path:
        return self._annotations(name) / f"{name}_tracks.txt"

    def _tracks(self, name: str) -> list[Track]:
        return read_tracks(self._tracks_file(name)) if self._abnormal[name] else []

    def _intervals(self, name: str) -> tuple[Interval, ...]:
        return tuple(Interval(track.start, track.end) for track in self._tracks(name))

    def _has_masks(self, name: str) -> bool:
        # a normal video needs no masks, but without abnormal pixels there is nothing to tell its pixels from
        return any(self._annotations(name).glob(f"{name}_*_gt.png")) if self._abnormal[name] else self._any_masks

    def _label_files(self, name: str) -> Iterable[Path]:
        return (self._annotations(name),) if self._abnormal[name] else ()

    @cached_property
    def _any_masks(self) -> bool:
        return any(self._has_masks(listed.name) for listed in self.listed if listed.abnormal and listed.found)

    def _masks(self, video: Video) -> Iterator[NDArray[np.bool_]]:
        return (numbers > 0 for numbers in self.tracks(video))

    def tracks(self, video: Video) -> Iterator[NDArray[np.integer]]:
        """Maps `[H, W]`, uint8: n where the n-th line of the official tracks says that the object is abnormal.

        Raises:
            InputError: the mask of an abnormal frame is missing or no picture.
        """
        if video.name not in self.masked:
            return
        tracks = self._tracks(video.name)
        info = open_source(video.source).info
        for frame in range(video.frames):
            active = [(n, track) for n, track in enumerate(tracks, start=1) if track.start <= frame <= track.end]
            objects = self._objects(video.name, frame) if active else np.zeros((info.height, info.width))
            numbers = np.zeros(objects.shape, np.uint8)
            for n, track in active:
                numbers[objects == track.number] = n
            yield numbers

    def _objects(self, name: str, frame: int) -> NDArray[np.number]:
        """The object at each pixel `[H, W]`, 0 for none."""
        path = self._annotations(name) / f"{name}_{frame:04d}_gt.png"
        objects = cv2.imread(str(path), cv2.IMREAD_GRAYSCALE) if path.is_file() else None  # as the authors' scripts
        if objects is None:
            raise InputError(f"no mask that can be read: {path}; restore the annotation of {name}")
        return objects


def read_tracks(path: Path) -> list[Track]:
    """The anomalies of a video, from lines such as `1.0,185.0,288.0`. Raises InputError if it is not in this format."""
    tracks = []
    for number, line in numbered_lines(path):
        try:
            values = [float(field) for field in line.split(",")]
            track = Track(*map(int, values))
            if list(track) != values or not (0 <= track.start <= track.end and track.number > 0):
                raise ValueError
        except (TypeError, ValueError, OverflowError):
            message = f"no track `object,start,end`: line {number} of {path}: {line!r}; restore the file"
            raise InputError(message) from None
        tracks.append(track)
    if not tracks:
        raise InputError(f"no tracks in {path}; restore the file")
    return tracks
