"""Scans with a stand-in for the model: what is bright is abnormal."""

from collections.abc import Callable
from pathlib import Path

import pytest
from bright import bright_detector
from video import make

from lavida.detector import Detector
from lavida.scan import ScanReport, scan


class Looks:
    """Counts the detectors that were loaded and the sources that they scored."""

    def __init__(self) -> None:
        self.loaded = 0
        self.sources: list[str] = []


@pytest.fixture
def looks(monkeypatch: pytest.MonkeyPatch) -> Looks:
    """The stand-in in place of every model, and what it was asked for."""
    seen, detect = Looks(), Detector.detect

    def load(*_, **__) -> Detector:
        seen.loaded += 1
        return bright_detector()

    def watched(self, source, *arguments, **options):
        detection = detect(self, source, *arguments, **options)
        seen.sources.append(detection.info.path.name)
        return detection

    monkeypatch.setattr("lavida.scan.worker.load", load)
    monkeypatch.setattr(Detector, "detect", watched)
    return seen


@pytest.fixture
def footage(tmp_path: Path) -> Path:
    """A folder with three videos of different lengths, the middle one without anything bright."""
    folder = tmp_path / "footage"
    (folder / "cam 1").mkdir(parents=True)
    make.video(folder / "cam 1" / "a.mp4", frames=12, mark=True)
    make.video(folder / "cam 1" / "b.mp4", frames=7)
    make.video(folder / "c.avi", frames=20, mark=True)
    return folder


@pytest.fixture
def scan_to(tmp_path: Path, looks: Looks, caplog: pytest.LogCaptureFixture) -> Callable[..., ScanReport]:
    """`scan` of some sources for light, into `tmp_path / "out"`; `report.said` are the lines of its log.

    The videos of the tests are new, so that none is left as growing unless a test asks for it.
    """

    def run(*sources: object, **options) -> ScanReport:
        caplog.clear()
        caplog.set_level("INFO", logger="lavida.scan")
        settings = {"out": str(tmp_path / "out"), "stride": 3, "settle": 0}
        report = scan([str(source) for source in sources], ["light"], **(settings | options))
        report.said = [record.getMessage() for record in caplog.records if record.name.startswith("lavida.scan")]
        return report

    return run
