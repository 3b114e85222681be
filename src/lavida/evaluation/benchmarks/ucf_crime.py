"""UCF-Crime: surveillance videos of 13 crimes and accidents from the web (Sultani, Chen and Shah, CVPR 2018)."""

from pathlib import Path

from lavida.errors import InputError
from lavida.evaluation.benchmarks.official import FROM_ONE_INCLUSIVE, Benchmark, Expected, Interval, Listed, paired
from lavida.evaluation.benchmarks.places import first_file, homes, numbered_lines, read_entries, video_files

# class in the annotation -> plain words
CLASSES = {
    "Abuse": "abuse", "Arrest": "arrest", "Arson": "arson", "Assault": "assault", "Burglary": "burglary",
    "Explosion": "explosion", "Fighting": "fighting", "RoadAccidents": "road accident", "Robbery": "robbery",
    "Shooting": "shooting", "Shoplifting": "shoplifting", "Stealing": "stealing", "Vandalism": "vandalism",
}  # fmt: skip
NORMAL = "Normal"
NORMAL_FOLDER = "Testing_Normal_Videos_Anomaly"
SPLIT = "Anomaly_Test.txt"

_NAMES = (
    "Temporal_Anomaly_Annotation.txt",
    "Temporal_Anomaly_Annotation_for_Testing_Videos.txt",
    "Temporal_Anomaly_Annotation_For_Testing_Videos/Txt_formate/Temporal_Anomaly_Annotation.txt",
)
_SPLITS = (SPLIT, f"Anomaly_Detection_splits/{SPLIT}", f"UCF_Crimes-Train-Test-Split/Anomaly_Detection_splits/{SPLIT}")
_HOMES = {"ucfcrime", "ucfcrimes"}

Entries = dict[str, tuple[str, tuple[Interval, ...]]]  # video file -> its class and abnormal intervals


class UcfCrime(Benchmark):
    """UCF-Crime: `Temporal_Anomaly_Annotation.txt` names 290 videos with up to two abnormal stretches each.

    The official evaluation script counts frames from 1 and includes the last. Videos lie anywhere below the root:
    in folders by class as `Anomaly_Test.txt` lists them, in the parts of the download, or all in one.
    """

    name = "ucf-crime"
    title = "UCF-Crime"
    layout = "Temporal_Anomaly_Annotation.txt, Abuse/Abuse028_x264.mp4 and Testing_Normal_Videos_Anomaly/*.mp4"
    categories = tuple(CLASSES.values())
    expected = Expected(videos=290, abnormal_videos=140)
    interval_rule = FROM_ONE_INCLUSIVE

    def _list(self, root: Path) -> list[Listed]:
        folders = homes(root, _HOMES)
        annotation = first_file(folders, _NAMES)
        if annotation is None:
            raise self._not_here(root, _NAMES[0])
        entries = read_annotation(annotation)
        split = first_file(folders, _SPLITS)
        if split is not None:
            _compare(entries, annotation=annotation, split=split)
        self._abnormal = {Path(name).stem: intervals for name, (_, intervals) in entries.items()}
        there = video_files(root, _HOMES, {Path(name).suffix.lower() for name in entries})
        there = {path.stem: path for path in there.values()} | there  # suffixes may be in capitals
        return [
            Listed(
                name=Path(name).stem,
                source=there.get(name)
                or there.get(Path(name).stem)
                or root / (NORMAL_FOLDER if kind == NORMAL else kind) / name,
                abnormal=kind != NORMAL,
            )
            for name, (kind, _) in entries.items()
        ]

    def _intervals(self, name: str) -> tuple[Interval, ...]:
        return self._abnormal[name]


def read_annotation(path: Path) -> Entries:
    """Its entries, from lines such as `Vandalism017_x264.mp4  Vandalism  270  330  780  840`.

    Raises:
        InputError: a line is not in this format, has an unknown class or names a video again.
    """

    def parse(name: str, fields: list[str]) -> tuple[str, tuple[str, tuple[Interval, ...]]]:
        kind, intervals = fields[0] if fields else "", paired(fields[1:])
        if kind not in CLASSES and kind != NORMAL:
            raise ValueError(f"unknown class {kind!r}")
        if bool(intervals) != (kind in CLASSES):
            raise ValueError(f"a video of class {kind} with {len(intervals)} abnormal stretches")
        return name, (kind, intervals)

    return read_entries(path, parse)


def _compare(entries: Entries, *, annotation: Path, split: Path) -> None:
    """Raises InputError unless both official files name the same videos."""
    listed = {line.strip().rpartition("/")[2] for _, line in numbered_lines(split)}
    differing = sorted(listed ^ entries.keys())
    if differing:
        lists, lacks = (split, annotation) if differing[0] in listed else (annotation, split)
        raise InputError(f"{differing[0]} is in {lists} but not in {lacks}; restore the official files")
