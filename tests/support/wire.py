"""A server that says exactly what a test wants on the wire, be it HTTP or not."""

from __future__ import annotations

import contextlib
import json
import socket
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

__all__ = ["Wire", "answer", "json_answer", "stream_of", "until", "wired"]

Say = Callable[[socket.socket], None] | bytes


def answer(status: str, body: bytes = b"", **headers: str) -> bytes:
    """Return an answer's bytes; ``_`` in a header's name stands for ``-``."""
    lines = [f"{name.replace('_', '-')}: {value}" for name, value in headers.items()]
    head = [f"HTTP/1.1 {status}", f"Content-Length: {len(body)}", *lines]
    return "\r\n".join(head).encode("latin-1") + b"\r\n\r\n" + body


def json_answer(value: Any, status: str = "200 OK", **headers: str) -> bytes:
    body = value if isinstance(value, bytes) else json.dumps(value).encode()
    return answer(status, body, Content_Type="application/json", **headers)


def stream_of(*lines: str, whole: bool = True) -> bytes:
    """Return a stream of events, in chunks; one that is not whole lacks the last chunk."""
    head = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n"
    chunks = [f"{line}\n\n".encode() for line in lines]
    framed = [f"{len(chunk):x}".encode() + b"\r\n" + chunk + b"\r\n" for chunk in chunks]
    return head + b"\r\n" + b"".join(framed) + (b"0\r\n\r\n" if whole else b"")


class Wire:
    """The server.

    Attributes:
        says: by path, what is sent: bytes, or a function that is handed the connection.
        asked: the heads of the requests.
        bodies: and what came with them.
        held: connections that nothing was said on, as ``hold`` leaves them.
        left: how many of those their clients closed.
    """

    def __init__(self, says: Mapping[str, Say]) -> None:
        self.says = dict(says)
        self.asked: list[bytes] = []
        self.bodies: list[bytes] = []
        self.held = 0
        self.left = 0
        self._ended = threading.Event()
        self._listener = socket.create_server(("127.0.0.1", 0), backlog=200)
        self.url = f"http://127.0.0.1:{self._listener.getsockname()[1]}"
        threading.Thread(target=self._accept, daemon=True).start()

    def hold(self, connection: socket.socket) -> None:
        """Say nothing, until the client leaves."""
        self.held += 1
        connection.settimeout(0.05)
        while not self._ended.is_set():
            with contextlib.suppress(TimeoutError):
                if not connection.recv(1):
                    self.left += 1
                    return

    def trickle(self, connection: socket.socket) -> None:
        """Begin an answer, and go on with a byte a second."""
        connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n")
        while not self._ended.wait(1):
            connection.sendall(b" ")

    def close(self) -> None:
        self._ended.set()
        self._listener.close()

    def _accept(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                connection, _ = self._listener.accept()
                threading.Thread(target=self._serve, args=(connection,), daemon=True).start()

    def _serve(self, connection: socket.socket) -> None:
        with connection, contextlib.suppress(OSError), connection.makefile("rb") as received:
            if not (head := received.readline()):
                return
            target = head.split(b" ")[1].decode()
            length = 0
            while (line := received.readline()) not in {b"\r\n", b""}:
                head += line
                if line.lower().startswith(b"content-length:"):
                    length = int(line.split(b":")[1])
            self.bodies.append(received.read(length))
            self.asked.append(head)
            path = target if target.startswith("/") else "/" + target.split("/", 3)[3]
            say = self.says[path]
            if isinstance(say, bytes):
                connection.sendall(say)
            else:
                say(connection)


@contextmanager
def wired(says: Mapping[str, Say]) -> Iterator[Wire]:
    wire = Wire(says)
    try:
        yield wire
    finally:
        wire.close()


def until(met: Callable[[], bool], within_s: float = 5.0) -> None:
    """Wait until something is so; fail where it does not come to be."""
    deadline = time.monotonic() + within_s
    while not met():
        assert time.monotonic() < deadline
        time.sleep(0.02)
