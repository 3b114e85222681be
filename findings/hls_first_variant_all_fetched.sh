#!/usr/bin/env bash
# PyAV and OpenCV: of an adaptive HLS stream the variant that is listed first is decoded, and all of them are downloaded.
#
# Expected  The best picture, as `streams.best("video")` promises, or the one that the network carries; and only that one
#           is fetched.
# Happens   The list's order decides: with 160x120 before 640x480 both give 160x120. And each variant is a stream of the
#           container, of which FFmpeg fetches all that are not discarded: a reader of 160x120 pays for 640x480, too, for
#           as long as it runs.
# Matters   Cloud cameras and gateways send such lists; a detector then looks at a thumbnail, and the line carries the
#           sum of all variants. Choose by width x height and discard the others, as is shown below.
# Source    ffmpeg.org/ffmpeg-formats.html, hls: streams of all variants are presented, discard flags say what is received
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install -qq --no-compile --disable-pip-version-check \
  av==18.1.0 opencv-python-headless==5.0.0.93 numpy==2.4.6
cd "$folder"
OPENCV_LOG_LEVEL=ERROR venv/bin/python - <<'PY'
import collections
import functools
import http.server
import os
import threading

import av
import cv2
import numpy as np
from av.stream import Discard

print(f"PyAV {av.__version__}, FFmpeg {av.ffmpeg_version_info}, OpenCV {cv2.__version__}")
SECONDS, SIZES = 12, {"small": (160, 120), "large": (640, 480)}
for name, (width, height) in SIZES.items():
    os.mkdir(name)
    options = {"hls_time": "1", "hls_list_size": "0"}
    with av.open(f"{name}/list.m3u8", "w", format="hls", options=options) as out:
        stream = out.add_stream("libx264", rate=25)
        stream.width, stream.height, stream.pix_fmt, stream.gop_size = width, height, "yuv420p", 25
        for number in range(25 * SECONDS):
            picture = np.full((height, width, 3), number % 250, np.uint8)
            out.mux(stream.encode(av.VideoFrame.from_ndarray(picture, "rgb24")))
        out.mux(stream.encode())
with open("master.m3u8", "w") as out:
    out.write("#EXTM3U\n")
    for name, (width, height) in SIZES.items():
        rate = width * height * 10
        out.write(f"#EXT-X-STREAM-INF:BANDWIDTH={rate},RESOLUTION={width}x{height}\n{name}/list.m3u8\n")

fetched = collections.Counter()


class Handler(http.server.SimpleHTTPRequestHandler):
    def log_message(self, *args):
        if self.path.endswith(".ts"):
            fetched[self.path.split("/")[1]] += 1


server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), functools.partial(Handler, directory=os.getcwd()))
threading.Thread(target=server.serve_forever, daemon=True).start()
url = f"http://127.0.0.1:{server.server_port}/master.m3u8"


def told(who, size, frames):
    print(f"{who}: {size[0]}x{size[1]}, {frames} frames, pieces fetched: {dict(fetched)}")
    found = size, frames, dict(fetched)
    fetched.clear()
    return found


with av.open(url) as container:
    best = container.streams.best("video")
    pyav = told("PyAV's best stream", (best.width, best.height), sum(1 for _ in container.decode(best)))

capture, frames = cv2.VideoCapture(url), 0
size = int(capture.get(cv2.CAP_PROP_FRAME_WIDTH)), int(capture.get(cv2.CAP_PROP_FRAME_HEIGHT))
while capture.read()[0]:
    frames += 1
opencv = told("OpenCV", size, frames)

with av.open(url) as container:
    largest = max(container.streams.video, key=lambda stream: stream.width * stream.height)
    for other in container.streams:
        if other is not largest:
            other.discard = Discard.all
    chosen = told("chosen, the others discarded", (largest.width, largest.height), sum(1 for _ in container.decode(largest)))

server.shutdown()
pieces = {"small": SECONDS, "large": SECONDS}
assert pyav == (SIZES["small"], 25 * SECONDS, pieces), "PyAV chooses or fetches otherwise now"
assert opencv == (SIZES["small"], 25 * SECONDS, pieces), "OpenCV chooses or fetches otherwise now"
assert chosen[0] == SIZES["large"] and chosen[2]["large"] == SECONDS and chosen[2].get("small", 0) < SECONDS
PY
