#!/usr/bin/env bash
# OpenCV: a seek to a time in a video of varying rate lands seconds away, or reads nothing at all.
#
# Expected  `set(CAP_PROP_POS_MSEC, t)` and then `read()` gives the picture shown at t; `get(CAP_PROP_POS_MSEC)` after a
#           plain `read()` does follow the stamps.
# Happens   The setter turns t into a frame number with the average (or announced) rate and counts frames from the
#           start. One second at 25 a second, then 2 a second: in MP4 a seek to 5.0 s shows 0.84 s; in Matroska, which
#           announces 25 a second, it wants frame 125 of 45 and `read()` returns False, as at the end of the file.
# Matters   Recorders that drop their rate when nothing moves, phones and screen recordings are such videos: thumbnails
#           and clips of events come from another scene, or are missing. Read on until the stamp is reached.
# Source    github.com/opencv/opencv/issues/9053 (open)
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install -qq --no-compile --disable-pip-version-check \
  av==18.1.0 opencv-python-headless==5.0.0.93 numpy==2.4.6
cd "$folder"
venv/bin/python - <<'PY'
from fractions import Fraction

import av
import cv2
import numpy as np

print(f"OpenCV {cv2.__version__}")
stamps = [40 * n for n in range(25)] + [1000 + 500 * n for n in range(20)]  # ms


def make(path):
    with av.open(path, "w") as out:
        stream = out.add_stream("libx264", rate=25)
        stream.width, stream.height, stream.pix_fmt, stream.max_b_frames = 160, 120, "yuv420p", 0
        stream.codec_context.time_base = Fraction(1, 1000)
        for number, stamp in enumerate(stamps):  # the gray level is four times the frame's number
            frame = av.VideoFrame.from_ndarray(np.full((120, 160, 3), 4 * number, np.uint8), "rgb24")
            frame.pts, frame.time_base = stamp, Fraction(1, 1000)
            out.mux(stream.encode(frame))
        out.mux(stream.encode())


def read_through(path):
    capture, times = cv2.VideoCapture(path), []
    while capture.grab():
        times.append(round(capture.get(cv2.CAP_PROP_POS_MSEC)))
    return times


def seek(path, milliseconds):
    capture = cv2.VideoCapture(path)
    capture.set(cv2.CAP_PROP_POS_MSEC, milliseconds)
    read, picture = capture.read()
    return stamps[round(picture.mean() / 4)] if read else None


seen = {}
for path in ("a.mp4", "a.mkv"):
    make(path)
    assert read_through(path) == stamps, "times while reading have changed"
    rate = round(cv2.VideoCapture(path).get(cv2.CAP_PROP_FPS), 2)
    seen[path] = rate, seek(path, 500), seek(path, 5000)
    print(f"{path}: rate {rate}; seeks to 500 and 5000 ms show the pictures of {seen[path][1:]} ms")

assert seen["a.mp4"] == (4.27, 80, 840), "MP4 has changed"
assert seen["a.mkv"] == (25.0, 520, None), "Matroska has changed"
PY
