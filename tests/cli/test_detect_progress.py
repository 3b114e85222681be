"""How far `lavida detect` says that it is."""

from contextlib import contextmanager
from types import SimpleNamespace

import numpy as np
import pytest
from PIL import Image

from lavida.cli import detect


@pytest.mark.parametrize("frames", [2, 5])
def test_it_ends_with_all_frames_read_however_many_were_announced(frames, tmp_path, monkeypatch):
    told: list[tuple[str, int, int | None]] = []

    @contextmanager
    def recorded():
        yield lambda title, done, total: told.append((title, done, total))

    folder = tmp_path / "three"
    folder.mkdir()
    for index in range(3):
        Image.new("RGB", (32, 32)).save(folder / f"{index}.png")
    monkeypatch.setattr(detect, "progress_bars", recorded)

    def ask(source, progress):
        assert source.info.frames_hint == 3
        progress(1)
        return SimpleNamespace(times=np.zeros(frames), save=lambda out, overlay, progress: progress(frames))

    detect._detect_one(ask, str(folder), tmp_path / "out", overlay=False)
    assert told == [
        ("three: looking", 1, 3),
        ("three: looking", frames, frames),
        ("three: writing", frames, frames),
    ]
