import numpy as np
import pytest

from lavida.detection import nearest


def test_down_and_up_by_hand():
    image = np.arange(24).reshape(4, 6)
    assert nearest(image, (2, 3)).tolist() == [[0, 2, 4], [12, 14, 16]]
    assert (nearest(image, (8, 12)) == image.repeat(2, axis=0).repeat(2, axis=1)).all()
    assert nearest(image[:, :4], (3, 3)).tolist() == [[0, 1, 2], [6, 7, 8], [12, 13, 14]]


@pytest.mark.parametrize("dtype", [bool, np.uint8, np.float16])
def test_values_and_their_type_stay(dtype):
    image = np.random.default_rng(0).integers(0, 2, (13, 7)).astype(dtype)
    resized = nearest(image, (30, 5))
    assert resized.shape == (30, 5) and resized.dtype == dtype
    assert np.isin(resized, image).all() and (nearest(image, image.shape) == image).all()
