#!/usr/bin/env bash
# OpenCV: the last frame of an MPEG program stream is at time 0.
#
# Expected  CAP_PROP_POS_MSEC rises to the end: 0, 40, ... 1960 ms for 50 frames at 25 a second.
# Happens   In a program stream (.mpg, .vob, .mpeg of recorders) the last frame has 0 ms. It comes out of the decoder
#           when that is flushed, and OpenCV then has no stamp for it; a transport stream of the same pictures is
#           right, and PyAV gives 1.96 s in both.
# Matters   Any clip "ends before it starts": durations come out as 0 or negative, the last event as [t, 0], a sort by
#           time puts the last picture first. The frame count of such a file is short as well (printed).
# Source    found here; the time comes from `picture_pts` in modules/videoio/src/cap_ffmpeg_impl.hpp
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install -qq --no-compile --disable-pip-version-check \
  av==18.1.0 opencv-python-headless==5.0.0.93 numpy==2.4.6
cd "$folder"
venv/bin/python - <<'PY'
import av
import cv2
import numpy as np

print(f"OpenCV {cv2.__version__}, PyAV {av.__version__}")


def make(path, container_format):
    with av.open(path, "w", format=container_format) as out:
        stream = out.add_stream("mpeg2video", rate=25)
        stream.width, stream.height, stream.pix_fmt = 160, 120, "yuv420p"
        for number in range(50):
            out.mux(stream.encode(av.VideoFrame.from_ndarray(np.full((120, 160, 3), number, np.uint8), "rgb24")))
        out.mux(stream.encode())


def opencv_times(path):
    capture, times = cv2.VideoCapture(path), []
    while capture.grab():
        times.append(round(capture.get(cv2.CAP_PROP_POS_MSEC)))
    print(f"{path}: OpenCV announces {capture.get(cv2.CAP_PROP_FRAME_COUNT):.0f} frames, reads {len(times)}")
    return times


def pyav_times(path):
    with av.open(path) as container:
        times = [frame.time for frame in container.decode(video=0)]
    return [round(1000 * (time - times[0])) for time in times]


right = list(range(0, 2000, 40))
seen = {}
for path, container_format in (("a.mpg", "vob"), ("a.ts", "mpegts")):
    make(path, container_format)
    seen[path] = opencv_times(path)
    print(f"{path}: OpenCV's last times {seen[path][-3:]} ms, PyAV's {pyav_times(path)[-3:]} ms")
    assert pyav_times(path) == right, "PyAV's times have changed"

assert seen["a.mpg"] == [*right[:-1], 0], "the program stream has changed"
assert seen["a.ts"] == right, "the transport stream has changed"
PY
