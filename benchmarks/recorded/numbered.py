"""Pictures that carry their number, so that order, loss, orientation and colour can be read from what comes out.

The upper quarter shows the number as eight blocks, the quarter below its complement, the lower half four colours.
"""

import numpy as np
from numpy.typing import NDArray

SIZE = (96, 64)  # width, height
COLOURS = np.array([(200, 40, 40), (40, 160, 60), (50, 60, 200), (128, 128, 128)], np.uint8)  # left to right
DARK, BRIGHT = 24, 230
LEGIBLE = 60  # gray levels between a block and its complement; a stretched thermal picture has 255

Picture = NDArray[np.uint8]


def picture(number: int, *, size: tuple[int, int] = SIZE) -> Picture:
    """uint8 `[H, W, 3]` for a number from 0 to 255.

    Args:
        number: what the blocks show, the highest bit on the left.
        size: width and height.
    """
    width, height = size
    image = np.empty((height, width, 3), np.uint8)
    for half, bits in enumerate((number, 255 - number)):
        rows = slice(half * height // 4, (half + 1) * height // 4)
        for place in range(8):
            shade = BRIGHT if bits >> (7 - place) & 1 else DARK
            image[rows, place * width // 8 : (place + 1) * width // 8] = shade
    for place, colour in enumerate(COLOURS):
        image[height // 2 :, place * width // 4 : (place + 1) * width // 4] = colour
    return image


def pictures(count: int, *, size: tuple[int, int] = SIZE, first: int = 0) -> list[Picture]:
    return [picture(number, size=size) for number in range(first, first + count)]


def gray(number: int, *, size: tuple[int, int] = SIZE) -> Picture:
    """uint8 `[H, W]`: the green of the picture, as a camera without colours sees it."""
    return picture(number, size=size)[..., 1]


def deep(number: int, *, low: int, high: int, size: tuple[int, int] = SIZE) -> NDArray[np.uint16]:
    """uint16 `[H, W]`: the gray picture, with values from `low` to `high`."""
    return (low + gray(number, size=size).astype(np.float64) / 255 * (high - low)).astype(np.uint16)


def number_in(image: Picture) -> int | None:
    """The number that a picture of any size shows, None where it cannot be read."""
    height, width = image.shape[:2]
    levels = image.reshape(height, width, -1).mean(axis=2)
    number = 0
    for place in range(8):
        columns = slice(place * width // 8 + width // 32, (place + 1) * width // 8 - width // 32)
        above, below = (levels[row + height // 16 : row + 3 * height // 16, columns] for row in (0, height // 4))
        difference = float(above.mean() - below.mean())
        if abs(difference) < LEGIBLE:
            return None
        number = number << 1 | (difference > 0)
    return number


def colours_in(image: Picture) -> NDArray[np.float64]:
    """`[4, 3]`: what the four colours of the lower half look like."""
    height, width = image.shape[:2]
    rows = slice(5 * height // 8, 7 * height // 8)
    places = (slice((4 * place + 1) * width // 16, (4 * place + 3) * width // 16) for place in range(4))
    return np.array([image[rows, columns].reshape(-1, 3).mean(axis=0) for columns in places])
