"""A benchmark in memory and scorers whose answers the tests know."""

from dataclasses import dataclass, field
from pathlib import Path
from types import SimpleNamespace

import numpy as np

from lavida.evaluation.benchmarks import Interval, IntervalRule, Video
from lavida.evaluation.regions import tracks_from_masks
from lavida.evaluation.scorers import ScoredFrame


@dataclass
class Toy:
    """Videos by name, with their labels; a frame's mask is its left half where it is abnormal."""

    labels: dict[str, list[int]]
    name: str = "toy"
    categories: tuple[str, ...] = ("bicycle",)
    has_pixel_labels: bool = True
    interval_rule: IntervalRule | None = None
    stretches: dict[str, list[Interval]] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)

    @property
    def videos(self) -> list[Video]:
        return [Video(name, Path(name), len(labels), self.categories) for name, labels in self.labels.items()]

    @property
    def official_videos(self) -> int:
        return len(self.labels)

    def frame_labels(self, video, frames=None):
        if self.interval_rule is not None:
            return self.interval_rule.labels(self.stretches[video.name], frames or video.frames)
        return np.array(self.labels[video.name], dtype=np.uint8)

    def state(self, video):
        return self.labels[video.name]

    def intervals(self, video):
        return self.stretches[video.name]

    def pixel_labels(self, video):
        for label in self.labels[video.name]:
            mask = np.zeros((4, 6), dtype=bool)
            mask[:, :3] = bool(label)
            yield mask

    def tracks(self, video):
        return tracks_from_masks(self.pixel_labels(video)) if self.has_pixel_labels else iter(())


@dataclass
class Given:
    """A baseline with these scores for each video, and maps that show each score in the left half."""

    scores: dict[str, list[float]]
    name: str = "given"

    def score(self, source):
        for score in self.scores[str(source)]:
            pixel_map = np.zeros((4, 6), dtype=np.float32)
            pixel_map[:, :3] = score
            yield ScoredFrame(score, pixel_map)


@dataclass
class Guesser:
    """A detector with these logits for each video; keeps what it was asked."""

    logits: dict[str, list[float]]
    name: str = "guesser"
    asked: list[SimpleNamespace] = field(default_factory=list)

    def stream(self, source, anomalies, *, stride, templates=None, progress):
        self.asked.append(SimpleNamespace(source=source, anomalies=anomalies, stride=stride, templates=templates))
        logits = self.logits[str(source)]
        for index, logit in enumerate(logits):
            progress(index + 1)
            if index % stride == 0 or index == len(logits) - 1:
                yield SimpleNamespace(
                    indices=np.array([index]),
                    frame_logits=np.array([logit], dtype=np.float32),
                    pixel_map=lambda t, logit=logit: np.full((4, 6), logit, dtype=np.float16),
                )
