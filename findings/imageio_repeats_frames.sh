#!/usr/bin/env bash
# imageio: its two video plugins give 45 and 527 frames of one file.
#
# Expected  `iio.imiter` gives the frames of the video, whichever plugin reads it; time is index / `fps`.
# Happens   The FFMPEG plugin lets FFmpeg fill a constant rate: of 45 frames of varying rate come 527, mostly copies.
#           Its `fps` in the metadata is the average 4.27, not the 50 a second that come out: by index / fps the 10.5 s
#           take 123 s. `count_frames()` says 45. The pyav plugin gives the 45 frames and 50 as `fps`: 0.9 s.
# Matters   Scores per frame, labels per frame and times shift against each other, and frozen copies look like "no
#           motion". Take the times from the stamps (PyAV), not from an index.
# Source    found here; imageio-ffmpeg's read_frames passes FFmpeg's default frame-rate mode on
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install -qq --no-compile --disable-pip-version-check \
  imageio==2.38.1 imageio-ffmpeg==0.8.1 av==18.1.0 numpy==2.4.6 pillow==11.3.0
cd "$folder"
venv/bin/python - <<'PY'
from fractions import Fraction

import av
import imageio
import imageio.v3 as iio
import imageio_ffmpeg
import numpy as np

print(f"imageio {imageio.__version__}, FFmpeg {imageio_ffmpeg.get_ffmpeg_version()}, PyAV {av.__version__}")
stamps = [40 * n for n in range(25)] + [1000 + 500 * n for n in range(20)]  # ms
with av.open("a.mp4", "w") as out:
    stream = out.add_stream("libx264", rate=25)
    stream.width, stream.height, stream.pix_fmt, stream.max_b_frames = 160, 120, "yuv420p", 0
    stream.codec_context.time_base = Fraction(1, 1000)
    for number, stamp in enumerate(stamps):  # the gray level is four times the frame's number
        frame = av.VideoFrame.from_ndarray(np.full((120, 160, 3), 4 * number, np.uint8), "rgb24")
        frame.pts, frame.time_base = stamp, Fraction(1, 1000)
        out.mux(stream.encode(frame))
    out.mux(stream.encode())

seen = {}
for plugin in ("FFMPEG", "pyav"):
    levels = [round(picture.mean() / 4) for picture in iio.imiter("a.mp4", plugin=plugin)]
    fps = iio.immeta("a.mp4", plugin=plugin)["fps"]
    seen[plugin] = len(levels), len(set(levels)), fps
    print(f"{plugin}: {len(levels)} frames, {len(set(levels))} different, fps {fps}, that is {len(levels) / fps:.1f} s")
counted = imageio.get_reader("a.mp4", "ffmpeg").count_frames()
print(f"count_frames(): {counted}")

assert seen["FFMPEG"] == (527, 45, 4.27), "the FFMPEG plugin has changed"
assert seen["pyav"] == (45, 45, 50.0), "the pyav plugin has changed"
assert counted == 45, "count_frames has changed"
PY
