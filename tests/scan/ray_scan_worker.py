"""A slow scan worker for a Ray cluster, in a module that processes on other nodes can import."""

import os
import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np

import lavida.scan.worker
from lavida.answer import Answer, AskedClip, Surroundings
from lavida.detector import Detector
from lavida.scan.worker import ScanWorker, StartScanWorker

HOLD = "hold"


class Bright:
    """In place of an `ExportedModel`: what is bright is abnormal. Without PyTorch, which takes seconds to import."""

    config = SimpleNamespace(clip_length=4, frame_side=64, frame_multiple=16, motion=False)
    device = "cpu"

    def prepare(self) -> None:
        pass

    def expect(self, height: int, width: int, categories: list[str]) -> None:
        pass

    def unfamiliar(self, categories: list[str]) -> list[str]:
        return []

    def surroundings(self) -> Surroundings:
        return Surroundings({"device": "cpu", "runtime": "onnx", "precision": "float32"}, {"bright": "1"}, None)

    def answer(self, frames: np.ndarray, categories: list[str], **_: Any) -> Answer:
        light = np.clip((frames.mean(1, dtype=np.float32) - 225) / 10, -3, 3)  # [T, H, W]
        logits, small = light.max((1, 2)), light[:, ::4, ::4]
        return Answer(
            frame_logits=logits,
            category_logits=np.tile(logits[:, None], len(categories)),
            pixel_logits=small,
            pixel_maps=lambda: small,
            strongest=None,
            clean_masks=False,
        )

    def answers(self, clips: Iterable[AskedClip], categories: list[str]) -> Iterator[Answer]:
        return (self.answer(frames, categories) for frames, _ in clips)


def load_bright(*_: object, **__: object) -> Detector:
    detector = Detector(Bright(), name="bright")
    detector.smoothing = False
    return detector


@dataclass(frozen=True, kw_only=True, slots=True)
class StartBrightScanWorker(StartScanWorker):
    """A scan worker with the model whose answers are known.

    It leaves its process id as a file in the folder `pids`, and stays at its video while there is a file HOLD.
    """

    pids: str

    def __call__(self) -> ScanWorker:
        lavida.scan.worker.load = load_bright
        detect = Detector.detect

        def slow(*arguments, **options):
            time.sleep(0.2)
            while (Path(self.pids) / HOLD).exists():
                time.sleep(0.02)
            return detect(*arguments, **options)

        Detector.detect = slow
        (Path(self.pids) / str(os.getpid())).touch()
        return StartScanWorker.__call__(self)
