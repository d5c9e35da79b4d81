"""Which HTTP library to build on: the same body over loopback, to a file, hashed on the way.

    python -m benchmarks.http_libraries [--megabytes 1000] [--rounds 3]

Prints for each library the median rate and processor seconds per gigabyte; the last row is the
loop that huggingface_hub 2.4.0 uses (httpx2, chunks of 10 MiB, no hashing).
"""

from __future__ import annotations

import argparse
import hashlib
import http.client
import os
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

CHUNK = 1 << 20
Loop = Callable[[int], Iterator[bytes]]


def serve(path: Path) -> None:
    """Answer every request with the file, by sendfile; prints the port first."""
    listener = socket.create_server(("127.0.0.1", 0))
    print(listener.getsockname()[1], flush=True)
    size = path.stat().st_size
    with path.open("rb") as file:
        while True:
            connection, _ = listener.accept()
            with connection:
                connection.recv(65536)
                connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % size)
                try:
                    connection.sendfile(file)
                except ConnectionError:
                    continue


def by_http_client(port: int) -> Iterator[bytes]:
    """http.client, reading into fresh bytes."""
    connection = http.client.HTTPConnection("127.0.0.1", port)
    connection.request("GET", "/")
    response = connection.getresponse()
    while chunk := response.read1(CHUNK):
        yield chunk


def by_urllib3(port: int) -> Iterator[bytes]:
    """urllib3, one read as it arrives."""
    import urllib3

    response = urllib3.PoolManager().request(
        "GET", f"http://127.0.0.1:{port}/", preload_content=False, decode_content=False
    )
    while chunk := response.read1(CHUNK):
        yield chunk


def by_httpx2(port: int, chunk_size: int | None = None) -> Iterator[bytes]:
    """httpx2, in its own chunks or in those asked for."""
    import httpx2

    with (
        httpx2.Client() as client,
        client.stream("GET", f"http://127.0.0.1:{port}/") as response,
    ):
        yield from response.iter_bytes(chunk_size) if chunk_size else response.iter_raw()


def once(loop: Loop, port: int, target: Path, *, hashed: bool) -> tuple[float, float]:
    """Return wall and processor seconds of one transfer to a file."""
    hasher: Any = hashlib.sha256() if hashed else None
    began, cpu = time.perf_counter(), time.process_time()
    descriptor = os.open(target, os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
    try:
        for chunk in loop(port):
            os.write(descriptor, chunk)
            if hasher is not None:
                hasher.update(chunk)
    finally:
        os.close(descriptor)
    return time.perf_counter() - began, time.process_time() - cpu


def main() -> int:
    """Measure every library in turn, round after round."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.http_libraries")
    parser.add_argument("--megabytes", type=int, default=1000)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--serve", type=Path, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.serve:
        serve(options.serve)
    loops: dict[str, tuple[Loop, bool]] = {
        "http.client, sha256": (by_http_client, True),
        "urllib3, sha256": (by_urllib3, True),
        "httpx2, sha256": (by_httpx2, True),
        "huggingface_hub's loop": (lambda port: by_httpx2(port, 10 << 20), False),
    }
    with tempfile.TemporaryDirectory() as work:
        blob = Path(work) / "blob"
        blob.write_bytes(os.urandom(1_000_000) * options.megabytes)
        command = [sys.executable, "-m", "benchmarks.http_libraries", "--serve", str(blob)]
        server = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
        try:
            port = int(server.stdout.readline()) if server.stdout else 0
            taken: dict[str, list[tuple[float, float]]] = {name: [] for name in loops}
            for _ in range(options.rounds):
                for name, (loop, hashed) in loops.items():
                    taken[name].append(once(loop, port, Path(work) / "out", hashed=hashed))
        finally:
            server.terminate()
            server.wait()
    for name, results in taken.items():
        wall = statistics.median(result[0] for result in results)
        cpu = statistics.median(result[1] for result in results)
        rate = options.megabytes / wall
        print(
            f"{name:24} {rate:6.0f} MB/s  {cpu / options.megabytes * 1000:5.2f} s of processor/GB"
        )
    return 0


if __name__ == "__main__":
    sys.exit(main())
