"""Make the README's picture from a result folder: frames of overlay.mp4 above timeline.png.

python docs/picture.py lavida-out/bikes docs/pictures/demo.png 0.6 4.8 6.4 8.8
"""

import sys
from pathlib import Path

import numpy as np
from PIL import Image

from lavida.video.decode import open_source


def main(folder: Path, out: Path, *seconds: float) -> None:
    frames, wanted = [], list(seconds)
    for frame in open_source(folder / "overlay.mp4").read(stride=1):
        if wanted and frame.time_s >= wanted[0]:
            frames.append(frame.image)
            wanted.pop(0)
    columns = 2
    rows = [np.concatenate(frames[i : i + columns], axis=1) for i in range(0, len(frames), columns)]
    picture = Image.fromarray(np.concatenate(rows))
    timeline = Image.open(folder / "timeline.png").convert("RGB")
    timeline = timeline.resize((picture.width, round(timeline.height * picture.width / timeline.width)))
    page = Image.new("RGB", (picture.width, picture.height + timeline.height), "white")
    page.paste(picture, (0, 0))
    page.paste(timeline, (0, picture.height))
    out.parent.mkdir(parents=True, exist_ok=True)
    page.save(out, optimize=True)  # all colours: a palette takes those of two categories for one


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]), *map(float, sys.argv[3:]))
