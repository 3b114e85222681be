"""What cameras and servers send over HTTP beside MPEG-TS: MJPEG in parts, and HLS as growing lists of pieces."""

import io
import threading
import time
from collections.abc import Iterable, Iterator
from fractions import Fraction
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import av
import cv2
import numpy as np

FPS, PIECE_S = 25, 2
SIZE = (128, 96)


def piece(pictures: Iterable[np.ndarray], *, first: int) -> bytes:
    """A piece of MPEG-TS whose stamps begin with those of frame `first`."""
    sink, stream = io.BytesIO(), None
    with av.open(sink, "w", format="mpegts") as container:
        for frame, pixels in enumerate(pictures, start=first):
            if stream is None:
                stream = container.add_stream("libx264", rate=FPS, options={"preset": "ultrafast"})
                stream.width, stream.height, stream.pix_fmt = pixels.shape[1], pixels.shape[0], "yuv420p"
            picture = av.VideoFrame.from_ndarray(pixels, format="rgb24")
            picture.pts, picture.time_base = frame, Fraction(1, FPS)
            container.mux(stream.encode(picture))
        container.mux(stream.encode())
    return sink.getvalue()


class Web:
    """Serves `/cam.mjpeg` and `/live.m3u8`; both show gray pictures of `level`, from the start of the server on.

    `/adaptive.m3u8` offers a smaller picture, black, before that of the latter; `small_pieces` of it were fetched.
    """

    def __init__(self) -> None:
        self.level, self.open, self.small_pieces = 20, True, 0
        self._pieces: list[bytes] = []
        self._small = b""
        web = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                try:
                    web.answer(self)
                except OSError:
                    return

            def log_message(self, *args) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        threading.Thread(target=self._server.serve_forever, daemon=True).start()
        threading.Thread(target=self._record, daemon=True).start()

    def url(self, path: str) -> str:
        return f"http://127.0.0.1:{self._server.server_port}/{path}"

    def answer(self, request: BaseHTTPRequestHandler) -> None:
        path = request.path.lstrip("/")
        if path == "cam.mjpeg":
            self._send_pictures(request)
        elif path == "live.m3u8":
            self._send(request, "application/vnd.apple.mpegurl", self._list().encode())
        elif path == "adaptive.m3u8":
            kinds = {"small": "64x48", "live": f"{SIZE[0]}x{SIZE[1]}"}
            offers = (f"#EXT-X-STREAM-INF:BANDWIDTH=90000,RESOLUTION={s}\n{name}.m3u8\n" for name, s in kinds.items())
            self._send(request, "application/vnd.apple.mpegurl", ("#EXTM3U\n" + "".join(offers)).encode())
        elif path == "small.m3u8":
            self._send(request, "application/vnd.apple.mpegurl", self._list(prefix="small-").encode())
        elif path.startswith("small-"):
            self.small_pieces += 1
            self._send(request, "video/mp2t", self._small)
        elif path.endswith(".ts") and int(path[:-3]) < len(self._pieces):
            self._send(request, "video/mp2t", self._pieces[int(path[:-3])])
        else:
            request.send_error(404)

    def _send(self, request: BaseHTTPRequestHandler, kind: str, content: bytes) -> None:
        request.send_response(200)
        request.send_header("Content-Type", kind)
        request.send_header("Content-Length", str(len(content)))
        request.end_headers()
        request.wfile.write(content)

    def _send_pictures(self, request: BaseHTTPRequestHandler) -> None:
        request.send_response(200)
        request.send_header("Content-Type", "multipart/x-mixed-replace; boundary=picture")
        request.end_headers()
        while self.open:
            picture = cv2.imencode(".jpg", self._picture())[1].tobytes()
            head = f"--picture\r\nContent-Type: image/jpeg\r\nContent-Length: {len(picture)}\r\n\r\n"
            request.wfile.write(head.encode() + picture + b"\r\n")
            time.sleep(1 / 10)

    def _picture(self) -> np.ndarray:
        return np.full((SIZE[1], SIZE[0], 3), self.level, np.uint8)

    def _list(self, *, prefix: str = "") -> str:
        """The last three pieces, as a live server lists them."""
        count = len(self._pieces)
        first = max(0, count - 3)
        head = f"#EXTM3U\n#EXT-X-VERSION:3\n#EXT-X-TARGETDURATION:{PIECE_S}\n#EXT-X-MEDIA-SEQUENCE:{first}\n"
        return head + "".join(f"#EXTINF:{PIECE_S}.0,\n{prefix}{number}.ts\n" for number in range(first, count))

    def _record(self) -> None:
        self._small = piece([np.zeros((48, 64, 3), np.uint8)] * FPS, first=0)
        begun, frame = time.monotonic(), 0
        while self.open:
            self._pieces.append(piece(self._paced(begun, frame), first=frame))
            frame += FPS * PIECE_S

    def _paced(self, begun: float, first: int) -> Iterator[np.ndarray]:
        for frame in range(first, first + FPS * PIECE_S):
            time.sleep(max(0.0, begun + frame / FPS - time.monotonic()))
            yield self._picture()

    def close(self) -> None:
        self.open = False
        self._server.shutdown()
        self._server.server_close()
