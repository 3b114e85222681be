#!/usr/bin/env bash
# OpenCV: a mirrored video is turned upside down instead of being mirrored.
#
# Expected  OpenCV applies the display matrix of a video as FFmpeg's command line and players do: mirrored, if so.
# Happens   It reads an angle from the matrix and rotates by that. "Mirror left to right" has the angle 180: the picture
#           is turned upside down. "Mirror top to bottom" has the angle 0: nothing is done. A plain rotation is right.
# Matters   Front cameras of phones, dashcams that look back and ceiling mounts may write such matrices: people stand on
#           their heads before a detector, or boxes are drawn on the wrong side. Apply the matrix itself.
# Source    found here; compare github.com/opencv/opencv/issues/15499, which brought the rotation
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install -qq --no-compile --disable-pip-version-check \
  opencv-python-headless==5.0.0.93 imageio-ffmpeg==0.8.1 numpy==2.4.6
cd "$folder"
venv/bin/python - <<'PY'
import subprocess

import cv2
import imageio_ffmpeg
import numpy as np

ffmpeg = [imageio_ffmpeg.get_ffmpeg_exe(), "-v", "error", "-y"]
print(f"OpenCV {cv2.__version__}, FFmpeg {imageio_ffmpeg.get_ffmpeg_version()}")
subprocess.run([*ffmpeg, *"-f lavfi -i testsrc=s=160x120:r=10:d=1 -pix_fmt yuv420p plain.mp4".split()], check=True)


def with_opencv(path):
    return cv2.VideoCapture(path).read()[1].astype(int)


def with_ffmpeg(path, shape):
    command = [*ffmpeg, "-i", path, *"-frames:v 1 -f rawvideo -pix_fmt bgr24 -".split()]
    return np.frombuffer(subprocess.run(command, capture_output=True, check=True).stdout, np.uint8).reshape(shape)


plain = with_opencv("plain.mp4")
turns = {
    "as stored": plain,
    "turned by 180": plain[::-1, ::-1],
    "mirrored left to right": plain[:, ::-1],
    "mirrored top to bottom": plain[::-1],
    "turned by 90": np.rot90(plain),
}


def name(picture):
    same = [turn for turn, other in turns.items() if other.shape == picture.shape and abs(other - picture).mean() < 6]
    return same[0] if len(same) == 1 else f"unknown {picture.shape}"


seen = {}
for option in ("-display_rotation 90", "-display_hflip", "-display_vflip"):
    subprocess.run([*ffmpeg, *option.split(), "-i", "plain.mp4", "-c", "copy", "turned.mp4"], check=True)
    picture = with_opencv("turned.mp4")
    seen[option] = name(picture), name(with_ffmpeg("turned.mp4", picture.shape))
    print(f"{option}: OpenCV {seen[option][0]}, FFmpeg {seen[option][1]}")

assert seen["-display_rotation 90"] == ("turned by 90", "turned by 90"), "rotation has changed"
assert seen["-display_hflip"] == ("turned by 180", "mirrored left to right"), "left to right has changed"
assert seen["-display_vflip"] == ("as stored", "mirrored top to bottom"), "top to bottom has changed"
PY
