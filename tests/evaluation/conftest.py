"""A tiny UCSD Ped2 in its official layout: one bright square crosses a still scene of noise."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

HEIGHT, WIDTH, FRAMES = 48, 72, 10
ABNORMAL_FROM = 4  # the square enters at this frame


@pytest.fixture
def ped2(tmp_path: Path) -> Path:
    """The folder UCSDped2 with Test001 and Test002 of 10 frames each."""
    root = tmp_path / "UCSD_Anomaly_Dataset.v1p2" / "UCSDped2"
    still = np.random.default_rng(0).integers(60, 100, (HEIGHT, WIDTH)).astype(np.uint8)
    for name, row in (("Test001", 8), ("Test002", 24)):
        frames, masks = root / "Test" / name, root / "Test" / f"{name}_gt"
        frames.mkdir(parents=True)
        masks.mkdir()
        for index in range(FRAMES):
            image, mask = still.copy(), np.zeros((HEIGHT, WIDTH), dtype=np.uint8)
            if index >= ABNORMAL_FROM:
                column = 4 + 6 * (index - ABNORMAL_FROM)
                square = np.s_[row : row + 12, column : column + 12]
                image[square] = np.random.default_rng(1).integers(150, 250, (12, 12))
                mask[square] = 255
            Image.fromarray(image).save(frames / f"{index + 1:03d}.tif")
            Image.fromarray(mask).save(masks / f"{index + 1:03d}.bmp")
    return root
