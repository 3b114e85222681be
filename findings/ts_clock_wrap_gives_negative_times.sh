#!/usr/bin/env bash
# PyAV: a transport stream that starts up to a minute before its clock wraps has negative times.
#
# Expected  The 33-bit clock of MPEG-TS wraps every 26.5 hours; a reader either jumps to 0 there or counts on.
# Happens   FFmpeg counts on when the wrap comes more than 60 s after the start, but shifts the whole recording below
#           zero when it comes sooner: the same 20 s start at 95343.7 s or, started 90 s later, at -10 s.
# Matters   A camera that streams day and night gives one such recording a day. Times that are compared between pieces,
#           stored as unsigned, or tested with `if time > 0` go wrong in that one only. Subtract the first stamp.
# Source    FFmpeg's libavformat/demux.c, update_wrap_reference: the reference is 60 s before the first stamp
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install -qq --no-compile --disable-pip-version-check \
  av==18.1.0 numpy==2.4.6
cd "$folder"
venv/bin/python - <<'PY'
from fractions import Fraction

import av
import numpy as np

print(f"PyAV {av.__version__}, FFmpeg {av.ffmpeg_version_info}")
WRAP = 2**33  # ticks of 90 kHz


def make(path, seconds_before_wrap):
    with av.open(path, "w") as out:
        stream = out.add_stream("mpeg2video", rate=25)
        stream.width, stream.height, stream.pix_fmt, stream.max_b_frames = 160, 120, "yuv420p", 0
        pictures = [av.VideoFrame.from_ndarray(np.full((120, 160, 3), n % 256, np.uint8), "rgb24") for n in range(500)]
        packets = [packet for picture in [*pictures, None] for packet in stream.encode(picture)]
        for number, packet in enumerate(packets):
            packet.time_base = Fraction(1, 90000)
            packet.pts = packet.dts = WRAP - seconds_before_wrap * 90000 + number * 3600
            out.mux(packet)


seen = {}
for seconds in (100, 70, 50, 10):
    make("a.ts", seconds)
    with av.open("a.ts") as container:
        times = [frame.time for frame in container.decode(video=0)]
    seen[seconds] = round(times[0], 1), round(times[-1], 1), len(times), bool((np.diff(times) > 0).all())
    print(f"starts {seconds} s before the wrap: first, last, frames, rising: {seen[seconds]}")

assert seen[70] == (95373.7, 95393.7, 500, True), "a wrap later than a minute has changed"
assert seen[50] == (-50.0, -30.0, 500, True), "a wrap within a minute has changed"
assert seen[10] == (-10.0, 10.0, 500, True), "a wrap within the recording has changed"
PY
