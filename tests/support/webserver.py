"""A web server of others, on loopback: it answers as it was told to, and notes what it is asked."""

from __future__ import annotations

import threading
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

__all__ = ["HERE", "Web"]

HERE = ("127.0.0.0/8",)
Answer = Callable[[BaseHTTPRequestHandler], None]


class Web:
    """A server on loopback that answers each path as it was told to."""

    def __init__(self) -> None:
        self.asked: list[tuple[str, dict[str, str]]] = []
        self.told: list[tuple[str, dict[str, str], bytes]] = []
        self.answers: dict[str, Answer] = {}
        web = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                web.asked.append((self.path, dict(self.headers)))
                web.answers[self.path.partition("?")[0]](self)

            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                web.told.append((self.path, dict(self.headers), body))
                web.answers[self.path](self)

            def log_message(self, *_: Any) -> None:
                """Say nothing."""

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.server.daemon_threads = True
        self.port = self.server.server_port
        self.url = f"http://127.0.0.1:{self.port}"
        threading.Thread(target=self.server.serve_forever, args=(0.01,), daemon=True).start()

    def gives(self, path: str, content: bytes, **headers: str) -> str:
        def answer(asked: BaseHTTPRequestHandler) -> None:
            asked.send_response(200)
            for name, value in headers.items():
                asked.send_header(name.replace("_", "-"), value)
            asked.send_header("Content-Length", str(len(content)))
            asked.end_headers()
            asked.wfile.write(content)

        self.answers[path] = answer
        return self.url + path

    def leads(self, path: str, to: str) -> str:
        def answer(asked: BaseHTTPRequestHandler) -> None:
            asked.send_response(302)
            asked.send_header("Location", to)
            asked.send_header("Content-Length", "0")
            asked.end_headers()

        self.answers[path] = answer
        return self.url + path

    def close(self) -> None:
        self.server.shutdown()
        self.server.server_close()
