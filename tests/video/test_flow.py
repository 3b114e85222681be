import numpy as np
import pytest

from lavida.video.motion import gaussian_blur, optical_flow


@pytest.mark.parametrize("shift", [(0, 2), (3, 0), (-2, 1), (5, -4)])
def test_flow_finds_a_shift_of_the_whole_image(shift):
    dy, dx = shift
    noise = np.random.default_rng(0).standard_normal((100, 120), dtype=np.float32)
    scene = 128 + 400 * gaussian_blur(noise, 2.0)
    first, second = scene[10:90, 10:110], scene[10 - dy : 90 - dy, 10 - dx : 110 - dx]
    flow = optical_flow(first, second)[:, 15:-15, 15:-15]
    assert flow[0].mean() == pytest.approx(dx, rel=0.15, abs=0.1)
    assert flow[1].mean() == pytest.approx(dy, rel=0.15, abs=0.1)


def test_flow_of_sensor_noise_is_small():
    noisy = 128 + 2 * np.random.default_rng(0).standard_normal((2, 60, 80), dtype=np.float32)
    assert np.linalg.norm(optical_flow(*noisy), axis=0).max() < 0.3


@pytest.mark.parametrize("size", [(1, 1), (3, 200), (17, 16)])
def test_images_of_any_size_have_a_flow(size):
    image = np.zeros(size, np.uint8)
    assert optical_flow(image, image).shape == (2, *size)
