#!/usr/bin/env bash
# PyAV and OpenCV: the frame count of a fragmented MP4 can be that of its first fragment.
#
# Expected  Fragments are either counted or the count is 0 ("unknown"), for which OpenCV falls back on duration x rate.
# Happens   Written with FFmpeg's `frag_keyframe` alone, the header lists the first group of pictures: PyAV says
#           `frames` 25 and OpenCV CAP_PROP_FRAME_COUNT 25 for 250 frames, a believable number, not 0. With
#           `empty_moov` they say 0 and 250. The duration is right in both.
# Matters   Recorders fragment their MP4 so that a power cut costs little. Evenly spaced samples over the frame count,
#           or an array allocated by it, see the first second of ten. Count by decoding, or from the duration.
# Source    ffmpeg.org/ffmpeg-formats.html, "mov, mp4, ismv": frag_keyframe, empty_moov
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

print(f"PyAV {av.__version__}, FFmpeg {av.ffmpeg_version_info}, OpenCV {cv2.__version__}")


def make(path, movflags):
    with av.open(path, "w", options={"movflags": movflags}) as out:
        stream = out.add_stream("libx264", rate=25)
        stream.width, stream.height, stream.pix_fmt = 160, 120, "yuv420p"
        stream.gop_size, stream.options = 25, {"sc_threshold": "0"}
        for number in range(250):
            out.mux(stream.encode(av.VideoFrame.from_ndarray(np.full((120, 160, 3), number, np.uint8), "rgb24")))
        out.mux(stream.encode())


seen = {}
for movflags in ("frag_keyframe", "frag_keyframe+empty_moov"):
    make("a.mp4", movflags)
    with av.open("a.mp4") as container:
        stream = container.streams.video[0]
        announced, seconds = stream.frames, float(stream.duration * stream.time_base)
        decoded = sum(1 for _ in container.decode(stream))
    counted = int(cv2.VideoCapture("a.mp4").get(cv2.CAP_PROP_FRAME_COUNT))
    seen[movflags] = announced, counted, seconds, decoded
    print(f"{movflags}: PyAV {announced} frames, OpenCV {counted}, {seconds} s, decoded {decoded}")

assert seen["frag_keyframe"] == (25, 25, 10.0, 250), "frag_keyframe has changed"
assert seen["frag_keyframe+empty_moov"] == (0, 250, 10.0, 250), "empty_moov has changed"
PY
