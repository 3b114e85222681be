#!/usr/bin/env bash
# PyAV and imageio: a backward seek in a transport stream lands after the time asked for.
#
# Expected  `container.seek(t)` looks backward for a key frame, so the first picture is at t or before it, as in MP4.
# Happens   MPEG-TS has no index: FFmpeg finds the packet at t, the decoder waits for the NEXT key frame, and up to a
#           whole group of pictures is gone. imageio's `index=5` therefore returns frame 25, without a word.
# Matters   Recorders write TS with a key frame every 1 to 4 s: a reader that seeks to an event, or samples by index,
#           looks at other pictures than it says. Seek one group earlier and decode up to t.
# Source    github.com/JuliaIO/VideoIO.jl/pull/467, github.com/mpv-player/mpv/issues/9317 ("a limitation of the format")
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install -qq --no-compile --disable-pip-version-check \
  av==18.1.0 imageio==2.38.1 numpy==2.4.6 pillow==11.3.0
cd "$folder"
venv/bin/python - <<'PY'
import av
import imageio.v3 as iio
import numpy as np

print(f"PyAV {av.__version__}, FFmpeg {av.ffmpeg_version_info}, imageio 2.38.1")


def make(path):
    with av.open(path, "w") as out:
        stream = out.add_stream("libx264", rate=25)
        stream.width, stream.height, stream.pix_fmt = 320, 240, "yuv420p"
        stream.gop_size, stream.max_b_frames, stream.options = 25, 0, {"sc_threshold": "0"}
        for number in range(250):  # four gray levels a frame, from black again every 64
            picture = np.full((240, 320, 3), 4 * number % 256, np.uint8)
            out.mux(stream.encode(av.VideoFrame.from_ndarray(picture, "rgb24")))
        out.mux(stream.encode())


def landed(path, seconds):
    with av.open(path) as container:
        stream = container.streams.video[0]
        start = stream.start_time or 0
        container.seek(start + round(seconds / stream.time_base), stream=stream)
        return round(next(container.decode(stream)).time - float(start * stream.time_base), 2)


def by_index(path, index):
    levels = [picture.mean() for picture in iio.imiter(path, plugin="pyav")]
    level = iio.imread(path, index=index, plugin="pyav").mean()
    return int(np.argmin(np.abs(np.array(levels) - level)))


asked = [0.5, 4.9, 7.3]
seen = {}
for path in ("a.mp4", "a.ts"):
    make(path)
    seen[path] = [landed(path, seconds) for seconds in asked], by_index(path, 5)
    print(f"{path}: asked for {asked} s, landed at {seen[path][0]} s; imageio index=5 is frame {seen[path][1]}")

assert seen["a.mp4"] == ([0.0, 4.0, 7.0], 5), "MP4 has changed"
assert seen["a.ts"] == ([1.0, 5.0, 8.0], 25), "MPEG-TS has changed"
PY
