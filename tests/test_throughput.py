"""The throughput benchmark: its rows, without the minutes that the real runs take."""

import sys
from pathlib import Path

import pytest
import torch

sys.path.insert(0, str(Path(__file__).parents[1] / "benchmarks"))
import made_videos
import throughput
from random_models import random_config
from results import NEEDS_GPU

CPU = torch.device("cpu")


@pytest.fixture
def quick(monkeypatch):
    """Commands and decoding that take as long as they say."""

    def detect(video, anomaly, out, *, overlay):
        stages = {"waiting": 10.0, "model": 400.0}
        return {"frames": 250, "analysed_frames": 50, "seconds": 10 if overlay else 5, "stage_ms": stages}

    monkeypatch.setattr(made_videos, "loop", lambda clip, path, *, seconds: None)
    monkeypatch.setattr(throughput, "detect", detect)
    monkeypatch.setattr(throughput, "decode_only", lambda video: {"frames": 250, "seconds": 0.5})


def test_each_run_is_compared_with_decoding_and_the_overlay_has_its_price(quick):
    overlaid, plain, decoding = throughput.end_to_end(Path("clip.mp4"), [10], "car")
    assert overlaid[throughput.FPS] == 25 and plain[throughput.FPS] == 50 and decoding[throughput.FPS] == 500
    assert [row["share of decoding"] for row in (overlaid, plain, decoding)] == [0.05, 0.1, 1]
    assert overlaid["overlay, ms a frame"] == 20 and "overlay, ms a frame" not in plain
    assert plain["model, ms an analysed frame"] == 8 and plain["waiting, ms an analysed frame"] == 0.2


def test_the_forward_passes_are_of_frames_of_the_looped_video():
    assert (throughput.SIZE, throughput.RATE) == (made_videos.SIZE, made_videos.RATE)


def test_presets_that_need_a_gpu_say_so():
    for preset in ("small", "paper"):
        assert throughput.forward_row(preset, CPU) == {
            "run": f"forward pass of {preset}",
            throughput.FPS: NEEDS_GPU,
        }


@pytest.mark.slow
def test_a_forward_pass_is_timed_on_the_frames_that_detect_would_analyse(monkeypatch):
    def small(preset):
        config = random_config("32x2x2")
        config.frame_side, config.clip_length = 96, 2
        return config

    monkeypatch.setattr(throughput, "random_config", small)
    row = throughput.forward_row("nano", CPU)
    # two frames a clip, one of five
    assert row[throughput.FPS] == pytest.approx(10_000 / row["ms a clip"], rel=0.02) and row["ms a clip"] > 0
