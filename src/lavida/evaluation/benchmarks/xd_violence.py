"""XD-Violence: films and web videos with six kinds of violence (Wu et al., ECCV 2020)."""

from pathlib import Path

from lavida.errors import InputError
from lavida.evaluation.benchmarks.official import FROM_ZERO_EXCLUSIVE, Benchmark, Expected, Interval, Listed, paired
from lavida.evaluation.benchmarks.places import first_file, first_folder, homes, read_entries, video_files

# code in a video's name -> plain words
CLASSES = {
    "B1": "fighting", "B2": "shooting", "B4": "riot", "B5": "abuse", "B6": "car accident", "G": "explosion",
}  # fmt: skip
NORMAL, NONE = "A", "0"
NORMAL_VIDEOS = 300
ANNOTATION = "annotations.txt"

_SUFFIX = ".mp4"
_HOMES = {"xdviolence", "xdviolencetest"}
_VIDEO_FOLDERS = ["videos", "test/videos", "test_videos"]


class XdViolence(Benchmark):
    """XD-Violence: `annotations.txt` names the 500 abnormal test videos with their abnormal stretches.

    The other 300 are normal: those of the folder of the named ones that are not named. The authors' script counts
    frames from 0 and excludes the end.
    """

    name = "xd-violence"
    title = "XD-Violence"
    layout = "annotations.txt and the folder of the 800 test videos, videos/*.mp4"
    categories = tuple(CLASSES.values())
    expected = Expected(videos=800, abnormal_videos=500)
    interval_rule = FROM_ZERO_EXCLUSIVE

    def _list(self, root: Path) -> list[Listed]:
        folders = homes(root, _HOMES)
        annotation = first_file(folders, [ANNOTATION])
        if annotation is None:
            raise self._not_here(root, ANNOTATION)
        self._abnormal = read_annotation(annotation)
        there = {path.stem: path for path in video_files(root, _HOMES, {_SUFFIX}).values()}
        test_folders = {there[name].parent for name in self._abnormal if name in there}
        home = min(test_folders, default=first_folder(folders, _VIDEO_FOLDERS) or root / "videos")
        sources = {name: there.get(name, home / f"{name}{_SUFFIX}") for name in self._abnormal}
        normal = {
            name: path
            for name, path in sorted(there.items())
            if name not in self._abnormal and path.parent in test_folders and _is_normal(path)
        }
        if len(normal) > NORMAL_VIDEOS:
            raise InputError(
                f"{len(normal)} normal videos in {home} where the test set has {NORMAL_VIDEOS}; "
                "keep the training videos in another folder"
            )
        return [
            Listed(name=name, source=source, abnormal=name in self._abnormal)
            for name, source in (sources | normal).items()
        ]

    def _intervals(self, name: str) -> tuple[Interval, ...]:
        return self._abnormal.get(name, ())

    def remarks(self) -> list[str]:
        """See `Benchmark.remarks`."""
        return [
            f"{ANNOTATION} lists the {len(self._abnormal)} abnormal test videos only: the {NORMAL_VIDEOS} normal ones "
            "are those of the video folder that it does not list"
        ]


def read_annotation(path: Path) -> dict[str, tuple[Interval, ...]]:
    """Video -> abnormal intervals, from lines such as `v=p7kvQ4OpDgU__#1_label_B4-0-0 270 1370`.

    Some of the official lines end the name in `.mp4`, most do not.

    Raises:
        InputError: a line is not in this format, its name has an unknown label, or names a video again.
    """

    def parse(name: str, fields: list[str]) -> tuple[str, tuple[Interval, ...]]:
        name = name.removesuffix(_SUFFIX)
        if NORMAL in _codes(name):
            raise ValueError(f"{name} is a normal video")
        return name, paired(fields)

    return read_entries(path, parse)


def _codes(name: str) -> set[str]:
    """The labels in a video's name, such as B1 and G. Raises ValueError if it has none, or an unknown one."""
    codes = set(name.rpartition("_label_")[2].split("-")) - {NONE} if "_label_" in name else set()
    if unknown := codes - CLASSES.keys() - {NORMAL}:
        raise ValueError(f"unknown label {min(unknown)}")
    if not codes:
        raise ValueError(f"no label in the name {name}")
    return codes


def _is_normal(path: Path) -> bool:
    """Whether an unlisted video of the test folder is one of the normal ones.

    Raises:
        InputError: its name says that it is abnormal, or nothing.
    """
    try:
        codes = _codes(path.stem)
    except ValueError as error:
        raise InputError(f"not a video of XD-Violence: {path} ({error}); move it to another folder") from error
    if codes != {NORMAL}:
        raise InputError(f"an abnormal video that {ANNOTATION} does not list: {path}; move it to another folder")
    return True
