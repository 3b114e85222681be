"""A camera made of an HTTP server: it sends MPEG-TS at real speed, and can freeze, close and change its size."""

import base64
import io
import threading
import time
from fractions import Fraction
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import av
import numpy as np

FPS = 25


class Camera:
    """Sends gray pictures whose level is `level`; `mode` is send, freeze or close, `again` when stamps begin anew."""

    def __init__(self, *, port: int = 0) -> None:
        self.mode, self.level, self.size, self.opened = "send", 20, (64, 48), 0
        self.again: int | None = None  # after so many pictures
        camera = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                login = "Basic " + base64.b64encode(b"me:geheim").decode()
                if self.headers.get("Authorization") != login:
                    self.send_response(401)
                    self.send_header("WWW-Authenticate", 'Basic realm="camera"')
                    self.end_headers()
                    return
                self.send_response(200)
                self.send_header("Content-Type", "video/mp2t")
                self.end_headers()
                camera.opened += 1
                try:
                    camera.send(self.wfile)
                except OSError:
                    return

            def log_message(self, *args) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", port), Handler)
        self._server.daemon_threads = True
        self.port = self._server.server_port
        threading.Thread(target=self._server.serve_forever, daemon=True).start()

    @property
    def url(self) -> str:
        return f"http://me:geheim@127.0.0.1:{self.port}/cam.ts?token=versteckt"

    def picture(self, size: tuple[int, int]) -> np.ndarray:
        """The next one, `[H, W, 3]`."""
        return np.full((size[1], size[0], 3), self.level, np.uint8)

    def send(self, out) -> None:
        index, start = 0, time.monotonic()
        while self.mode == "send":
            size, sink = self.size, io.BytesIO()
            with av.open(sink, "w", format="mpegts") as container:
                stream = container.add_stream("mpeg2video", rate=FPS)
                stream.width, stream.height, stream.pix_fmt = *size, "yuv420p"
                stream.codec_context.gop_size = 5
                while self.mode == "send" and size == self.size and (self.again is None or index < self.again):
                    frame = av.VideoFrame.from_ndarray(self.picture(size), format="rgb24")
                    frame.pts, frame.time_base = index, Fraction(1, FPS)
                    container.mux(stream.encode(frame))
                    index += 1
                    out.write(sink.getvalue())
                    sink.seek(0)
                    sink.truncate()
                    time.sleep(max(0.0, start + index / FPS - time.monotonic()))
            if self.again is not None and index >= self.again:
                index, start = 0, start + index / FPS
        while self.mode == "freeze":
            time.sleep(0.05)

    def close(self) -> None:
        self.mode = "close"
        self._server.shutdown()
        self._server.server_close()
