#!/usr/bin/env bash
# MoviePy: an upright phone video comes out squashed into a lying picture.
#
# Expected  MoviePy 2 knows about rotation: `size` is that of the upright picture (120x160).
# Happens   FFmpeg turns the picture, MoviePy asks for the size of the stored one: 160x120, everything a third too wide
#           and a quarter too low, `rotation` 0, no warning. It looks for "displaymatrix" in FFmpeg's text, where the
#           FFmpeg of imageio-ffmpeg 0.8.1 writes "Display Matrix" (0.6.0 is right). imageio with 0.8.1 is right, too.
# Matters   Clips cut with MoviePy teach and test a model on deformed people, and boxes do not fit the other readers'.
# Source    github.com/Zulko/moviepy/issues/2356 (closed: mended for the older wording)
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install -qq --no-compile --disable-pip-version-check \
  moviepy==2.2.1 imageio==2.38.1 imageio-ffmpeg==0.8.1 numpy==2.4.6 pillow==11.3.0
cd "$folder"
venv/bin/python - <<'PY'
import subprocess

import imageio.v3 as iio
import imageio_ffmpeg
import numpy as np
from moviepy import VideoFileClip
from PIL import Image

ffmpeg = [imageio_ffmpeg.get_ffmpeg_exe(), "-v", "error", "-y"]
print(f"MoviePy 2.2.1, imageio-ffmpeg 0.8.1, FFmpeg {imageio_ffmpeg.get_ffmpeg_version()}")
subprocess.run([*ffmpeg, *"-f lavfi -i testsrc=s=160x120:r=10:d=1 -pix_fmt yuv420p plain.mp4".split()], check=True)
subprocess.run([*ffmpeg, *"-display_rotation 90 -i plain.mp4 -c copy upright.mp4".split()], check=True)

clip = VideoFileClip("upright.mp4")
picture = clip.get_frame(0)
upright = iio.imread("upright.mp4", index=0, plugin="FFMPEG")
print(f"MoviePy: size {clip.size}, rotation {clip.rotation}, picture {picture.shape}; imageio: picture {upright.shape}")
squashed = np.asarray(Image.fromarray(upright).resize((160, 120), Image.BICUBIC)).astype(int)
difference = abs(squashed - picture).mean()
print(f"mean difference of MoviePy's picture to the upright one squashed to 160x120: {difference:.1f} gray levels")
clip.close()

assert upright.shape == (160, 120, 3), "imageio has changed"
assert (clip.size, clip.rotation, picture.shape) == ([160, 120], 0, (120, 160, 3)), "MoviePy has changed"
assert difference < 8, "the picture is not the squashed one any more"
PY
