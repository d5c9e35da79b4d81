"""How many connections a download opens: as many as there is waiting to share out."""

from __future__ import annotations

import hashlib
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from holdfast.errors import StorageFailed
from holdfast.hub import Download, Downloader, Partial
from holdfast.hub._http import Http
from holdfast.places import Modes
from holdfast.refs import Digest, FileEntry, RepoRef, RevisionRef

SMALL = b"{}" * 50
REVISION = RevisionRef(RepoRef("owner/model"), "0" * 40)


class Counting(ThreadingHTTPServer):
    """Answers every request with the same bytes, and counts the connections it got."""

    def __init__(self, content: bytes, first_byte_s: float, rest_s: float) -> None:
        super().__init__(("127.0.0.1", 0), Answering)
        self.content, self.first_byte_s, self.rest_s = content, first_byte_s, rest_s
        self.connections = 0
        self.silent = 0  # how many requests get no answer at all
        self.lock = threading.Lock()


class Answering(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: Counting

    def setup(self) -> None:
        super().setup()
        with self.server.lock:
            self.server.connections += 1

    def do_GET(self) -> None:
        with self.server.lock:
            self.server.silent -= 1
            silent = self.server.silent >= 0
        if silent:
            time.sleep(3)
            self.close_connection = True
            return
        time.sleep(self.server.first_byte_s)
        content = self.server.content
        self.send_response(200)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content[:10])
        self.wfile.flush()
        time.sleep(self.server.rest_s)
        self.wfile.write(content[10:])

    def log_message(self, *args: object) -> None:
        """Say nothing."""


@contextmanager
def counting(first_byte_s: float = 0.0, rest_s: float = 0.0) -> Iterator[Counting]:
    server = Counting(SMALL, first_byte_s, rest_s)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield server
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def bring(
    server: Counting, folder: Path, *, files: int, connections: int, stall_timeout_s: float = 5
) -> None:
    digest = Digest("git-sha1", hashlib.sha1(b"blob %d\0" % len(SMALL) + SMALL).hexdigest())
    http = Http(
        connect_timeout_s=5, stall_timeout_s=stall_timeout_s, connections=connections, env={}
    )
    endpoint = f"http://127.0.0.1:{server.server_address[1]}"
    downloads = []
    for number in range(files):
        entry = FileEntry(f"{number}.json", len(SMALL), digest, digest.hex)
        path = folder / entry.path
        downloads.append(
            Download(entry, lambda path=path: Partial(path, len(SMALL), digest, Modes()))  # type: ignore[misc]
        )
    downloader = Downloader(http, endpoint, None, REVISION, connections=connections, patience_s=10)
    downloader.run(downloads, lambda: None)
    assert {path.read_bytes() for path in folder.iterdir()} == {SMALL}


@pytest.mark.parametrize("slow", [{"first_byte_s": 0.05}, {"rest_s": 0.05}])
def test_a_hub_far_away_is_asked_many_things_at_once(
    tmp_path: Path, slow: dict[str, float]
) -> None:
    with counting(**slow) as server:
        bring(server, tmp_path, files=40, connections=8)
    assert server.connections == 8


def test_a_download_that_may_have_one_connection_has_one(tmp_path: Path) -> None:
    with counting(first_byte_s=0.02) as server:
        bring(server, tmp_path, files=10, connections=1)
    assert server.connections == 1


def test_no_more_connections_than_files(tmp_path: Path) -> None:
    with counting(first_byte_s=0.05) as server:
        bring(server, tmp_path, files=3, connections=8)
    assert server.connections <= 3


def test_others_go_on_while_the_first_answers_do_not_come(tmp_path: Path) -> None:
    with counting() as server:
        server.silent = 4
        started = time.monotonic()
        bring(server, tmp_path, files=60, connections=8, stall_timeout_s=2)
    assert server.connections >= 5
    assert time.monotonic() - started < 15


def test_a_thread_that_cannot_be_had_is_done_without(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    start, refused = threading.Thread.start, []

    def limited(thread: threading.Thread) -> None:
        if thread.name.startswith("holdfast-download") and thread.name != "holdfast-download-1":
            refused.append(thread.name)
            raise RuntimeError("can't start new thread")
        start(thread)

    monkeypatch.setattr(threading.Thread, "start", limited)
    with counting(first_byte_s=0.02) as server:
        bring(server, tmp_path, files=10, connections=8)
    assert refused == ["holdfast-download-2"]


def test_not_one_thread_to_be_had_is_an_error_with_a_hint(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    start = threading.Thread.start

    def none(thread: threading.Thread) -> None:
        if thread.name.startswith("holdfast-download"):
            raise RuntimeError("can't start new thread")
        start(thread)

    monkeypatch.setattr(threading.Thread, "start", none)
    with counting() as server, pytest.raises(StorageFailed, match="refuses a thread"):
        bring(server, tmp_path, files=10, connections=8)
