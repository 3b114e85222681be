import numpy as np

from lavida.evaluation.protocols import STANDARD, Protocol


def test_standard_looks_at_every_frame_and_never_into_the_future():
    assert STANDARD.stride == 1
    assert STANDARD.smoothing is None and STANDARD.normalisation is None


def test_resize_takes_the_nearest_pixel_down_and_up():
    image = np.arange(24).reshape(4, 6)
    down = Protocol(name="down", stride=1, pixel_size=(2, 3))
    up = Protocol(name="up", stride=1, pixel_size=(8, 12))
    assert down.resize(image).tolist() == [[0, 2, 4], [12, 14, 16]]
    assert (up.resize(image) == image.repeat(2, axis=0).repeat(2, axis=1)).all()


def test_resize_keeps_a_mask_a_mask():
    mask = np.zeros((240, 360), dtype=bool)
    mask[100:140, 50:90] = True
    small = STANDARD.resize(mask)
    assert small.shape == (158, 238) and small.dtype == bool
    assert abs(small.mean() - mask.mean()) < 0.001
