#!/usr/bin/env bash
# PyAV, OpenCV: what H.264 hides at the left is shown; in OpenCV the picture is squeezed into the right width, too.
#
# Expected  A stream whose header crops 16 pixels off the left (`crop_left`, as encoders and editors that cut without
#           coding anew write it) gives pictures 16 pixels narrower, as it does in players and as its own header says.
# Happens   stream.width is 80, the frames are 96 wide, and their first 16 columns are what should be hidden: libavcodec
#           rounds a left crop down to the alignment of its memory. A crop of 16 off the right is right. So is the left
#           one with codec_context.flags |= Flags.unaligned. OpenCV scales the 96 columns down to the 80 of the header.
# Matters   Boxes and masks found on such frames do not fit the video as it is played, and nothing tells: OpenCV's
#           frames have the right size.
# Source    github.com/mpv-player/mpv/issues/16758 (the same in a player); ffmpeg.org, codec flag "unaligned"
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
from av.bitstream import BitStreamFilterContext
from av.codec.context import Flags

print(f"PyAV {av.__version__} (libavcodec {av.library_versions['libavcodec']}), OpenCV {cv2.__version__}")
OPENCV = (80, 13)
HIDDEN, SHOWN = 20, 200  # levels of the first 16 columns, and of the rest


def write_plain():
    image = np.full((64, 96, 3), SHOWN, np.uint8)
    image[:, :16] = HIDDEN
    with av.open("plain.mp4", "w") as container:
        stream = container.add_stream("libx264", rate=25, options={"crf": "1"})
        stream.width, stream.height, stream.pix_fmt = 96, 64, "yuv420p"
        for i in range(5):
            frame = av.VideoFrame.from_ndarray(image, format="rgb24")
            frame.pts, frame.time_base = i, Fraction(1, 25)
            container.mux(stream.encode(frame))
        container.mux(stream.encode())


def write_cropped(name, side):
    with av.open("plain.mp4") as old, av.open(name, "w") as new:
        stream = old.streams.video[0]
        target = new.add_stream_from_template(stream)
        change = BitStreamFilterContext(f"h264_metadata=crop_{side}=16", stream, target)
        for packet in old.demux(stream):
            for changed in change.filter(packet if packet.dts is not None else None):
                changed.stream = target
                new.mux(changed)


def first(name, *, unaligned=False):
    with av.open(name) as container:
        stream = container.streams.video[0]
        if unaligned:
            stream.codec_context.flags |= Flags.unaligned
        said = stream.width
        return said, next(container.decode(stream)).to_ndarray(format="rgb24")


write_plain()
seen = {}
for side in ("left", "right"):
    write_cropped(f"{side}.mp4", side)
    for unaligned in (False, True):
        said, image = first(f"{side}.mp4", unaligned=unaligned)
        seen[side, unaligned] = said, image.shape[1], round(float(image[:, :8].mean()) / 10) * 10
        print(f"{side:5} unaligned={unaligned!s:5}  header {said}, frame {image.shape[1]}, at the left {image[:, :8].mean():.0f}")
_, image = cv2.VideoCapture("left.mp4").read()
dark = int((image.mean(axis=(0, 2)) < (HIDDEN + SHOWN) / 2).sum())
print(f"left  OpenCV           frame {image.shape[1]}, of which {dark} columns should be hidden")
assert seen["left", False] == (80, 96, HIDDEN), "the hidden columns are no longer shown"
assert (image.shape[1], dark) == OPENCV, "OpenCV shows something else"
assert seen["left", True] == (80, 80, SHOWN)
assert seen["right", False] == seen["right", True] == (80, 80, HIDDEN)
PY
