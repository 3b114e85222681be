import numpy as np
import pytest

from lavida.video.motion import _half, gaussian_blur, motion_field

HEIGHT, WIDTH = 64, 96  # of the gray pair: half of the analysed frame


def texture(seed: int, height: int = HEIGHT, width: int = WIDTH) -> np.ndarray:
    noise = np.random.default_rng(seed).standard_normal((height, width), dtype=np.float32)
    return 128 + 300 * gaussian_blur(noise, 1.5)


def scene(x: int) -> np.ndarray:
    """A textured square of 24 pixels at column x before a textured ground."""
    image = texture(0)
    image[20:44, x : x + 24] = texture(1)[20:44, :24]
    return image.clip(0, 255).astype(np.uint8)


def test_a_moving_square_has_its_speed_where_it_is_now():
    field = motion_field(scene(40), scene(37), seconds=0.1)
    assert field.shape == (4, HEIGHT // 2, WIDTH // 2) and field.dtype == np.float16
    speed = 3 / HEIGHT / 0.1  # heights a second
    inside, outside = field[:, 13:19, 23:29].astype(float), field[:, :, :12].astype(float)
    assert inside[0].mean() == pytest.approx(speed, rel=0.15) and abs(inside[1].mean()) < 0.1 * speed
    assert np.abs(outside[:2]).max() < 0.1 * speed
    assert inside[2].mean() > 5 * outside[2].mean() + 0.01 and (field[3] == 1).all()


def test_a_neighbour_that_comes_later_tells_the_same():
    earlier = motion_field(scene(40), scene(38), seconds=0.04)
    later = motion_field(scene(40), scene(42), seconds=-0.04)
    place = np.s_[0, 13:19, 23:29]
    assert earlier[place].mean() == pytest.approx(later[place].mean(), rel=0.2) and earlier[place].mean() > 0.5


@pytest.mark.parametrize(("before", "seconds"), [(None, 0.0), (scene(38), 0.0)])
def test_without_a_neighbour_or_a_time_nothing_is_known(before, seconds):
    field = motion_field(scene(40), before, seconds=seconds)
    assert field.shape == (4, HEIGHT // 2, WIDTH // 2) and not field.any()


def test_the_field_of_a_stutter_is_finite():
    assert np.isfinite(motion_field(scene(40), scene(10), seconds=1e-9)).all()


def test_a_field_of_nearly_nothing_is_what_float16_holds():
    values = np.array([[0, -0.0, 2.0**-14, -(2.0**-14), 2.0**-25, 3e-8, -1e-6, 99.9, 6.1e-5, -6e-5, 1e-30]], np.float32)
    assert (_half(values).view(np.uint16) == values.astype(np.float16).view(np.uint16)).all()
    every = np.arange(65536, dtype=np.uint16).view(np.float16).astype(np.float32)
    near = every[np.abs(every) < 2.0**-13][None]
    for each in (near, np.nextafter(near, np.float32(1)), (near[:, 1:] + near[:, :-1]) / 2):
        assert (_half(each).view(np.uint16) == each.astype(np.float16).view(np.uint16)).all()
