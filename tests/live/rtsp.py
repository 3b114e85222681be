"""An RTSP camera for the tests: GStreamer's server in a process of its own, and films coded for it beforehand."""

import signal
import socket
import subprocess
from collections.abc import Sequence
from fractions import Fraction
from functools import cache
from pathlib import Path

import av
import numpy as np

PYTHON, SERVER = "/usr/bin/python3", Path(__file__).with_name("rtsp_server.py")
FPS = 25
BINDINGS = "import gi; gi.require_version('GstRtspServer', '1.0'); from gi.repository import GstRtspServer"


@cache
def missing() -> str | None:
    """What this machine lacks to run the server, None if nothing."""
    try:
        subprocess.run([PYTHON, "-c", BINDINGS], check=True, capture_output=True, timeout=60)
    except (OSError, subprocess.SubprocessError):
        return "GStreamer's RTSP bindings: apt install gir1.2-gst-rtsp-server-1.0 gstreamer1.0-plugins-{good,bad}"
    return None


def film(path: Path, levels: Sequence[int], *sizes: tuple[int, int]) -> Path:
    """H.264 in MPEG-TS: pictures of gray levels, all of them in each size, one size after the other."""
    with av.open(str(path), "w", format="mpegts") as container:
        stream, number = container.add_stream("libx264", rate=FPS), 0
        stream.width, stream.height, stream.pix_fmt = *sizes[0], "yuv420p"
        for width, height in sizes:
            coder = av.CodecContext.create("libx264", "w")
            coder.width, coder.height, coder.pix_fmt, coder.gop_size = width, height, "yuv420p", FPS
            coder.framerate, coder.time_base = Fraction(FPS), Fraction(1, FPS)
            coder.options = {"preset": "ultrafast", "tune": "zerolatency"}
            for level in levels:
                frame = av.VideoFrame.from_ndarray(np.full((height, width, 3), level, np.uint8), format="rgb24")
                frame.pts, frame.time_base, number = number, Fraction(1, FPS), number + 1
                _mux(container, stream, coder.encode(frame))
            _mux(container, stream, coder.encode(None))
    return path


def _mux(container, stream, packets) -> None:
    for packet in packets:
        packet.stream = stream
        container.mux(packet)


class RtspServer:
    """Serves `files` by name until it is closed; the port stays the same when it is started again."""

    def __init__(self, login: str | None = None, **files: Path) -> None:
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.port = free.getsockname()[1]
        self._command = [PYTHON, str(SERVER), str(self.port), *(f"{name}={path}" for name, path in files.items())]
        self._command += ["--login", login] if login else []
        self.start()

    def url(self, name: str, login: str = "") -> str:
        return f"rtsp://{login}127.0.0.1:{self.port}/{name}"

    def start(self) -> None:
        self._process = subprocess.Popen(self._command, stdout=subprocess.PIPE, text=True)
        assert self._process.stdout is not None
        assert self._process.stdout.readline() == "ready\n"

    def freeze(self) -> None:
        """Nothing more is sent, and no connection is closed."""
        self._process.send_signal(signal.SIGSTOP)

    def thaw(self) -> None:
        self._process.send_signal(signal.SIGCONT)

    def kill(self) -> None:
        self._process.kill()
        self._process.wait()
        self._process.stdout.close()

    def __enter__(self) -> "RtspServer":
        return self

    def __exit__(self, *error: object) -> None:
        if self._process.poll() is None:
            self.kill()
