"""A webhook that notes what it gets."""

import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


class Inbox:
    """A webhook that refuses as many requests as it is told to."""

    def __init__(self, *, refuses: int = 0, every: int = 0) -> None:
        self.got: list[dict] = []
        self.tries: list[str] = []
        inbox = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                inbox.tries.append(self.headers["Idempotency-Key"])
                number = len(inbox.tries)
                refused = number <= refuses or (every and number % every == 0)
                if not refused:
                    inbox.got.append({"headers": dict(self.headers), "body": body})
                self.send_response(500 if refused else 204)
                self.end_headers()

            def log_message(self, *args) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._server.server_port}/hook?token=geheim"
        threading.Thread(target=self._server.serve_forever, daemon=True).start()

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()
