"""A server in a process of its own, asked as its watchers would ask it."""

from __future__ import annotations

import contextlib
import http.client
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import IO, Any
from urllib.parse import urlsplit

from benchmarks.measure import MeasurementError
from benchmarks.sides import holdfast_environment

__all__ = ["Server", "holdfast_up", "program", "served"]

_ROOT = Path(__file__).resolve().parent.parent.parent
_READY_WITHIN_S = 120.0
_ANSWER_WITHIN_S = 30.0
_END_WITHIN_S = 15.0
_POLL_S = 0.005


class Server:
    """A running server.

    Attributes:
        url: where it answers.
        started: when its process was started, by `time.perf_counter`.
    """

    def __init__(self, url: str, started: float, errors: IO[bytes]) -> None:
        self.url = url
        self.started = started
        self._errors = errors
        self._address = urlsplit(url)

    def ask(self, method: str, path: str) -> tuple[int, Any]:
        """Return the status of an answer, and what its JSON says."""
        # A connection each: the server closes those that are quiet for some seconds.
        connection = http.client.HTTPConnection(
            self._address.hostname or "", self._address.port, timeout=_ANSWER_WITHIN_S
        )
        try:
            connection.request(method, path, headers={"Connection": "close"})
            answer = connection.getresponse()
            return answer.status, json.loads(answer.read() or b"null")
        except (OSError, http.client.HTTPException) as error:
            raise MeasurementError(f"{self.url}{path}: {error}; {self.said()}") from error
        finally:
            connection.close()

    def ready(self) -> tuple[int, list[str]]:
        """Return the status of readiness, and the states of the models it waits for.

        Raises:
            MeasurementError: one has failed.
        """
        status, body = self.ask("GET", "/ready")
        states = [model["state"] for model in body["models"]]
        if "failed" in states:
            raise MeasurementError(f"a model cannot be loaded: {self.said()}")
        return status, states

    def await_ready(self) -> None:
        """Wait until every model is there."""
        until = time.perf_counter() + _READY_WITHIN_S
        while self.ready()[0] != 200:
            if time.perf_counter() > until:
                raise MeasurementError(f"not ready: {self.said()}")
            time.sleep(_POLL_S)

    def load_s(self, model: str) -> float | None:
        """Return the seconds that the server says loading took; None while it is not loaded."""
        _, body = self.ask("GET", "/models")
        found = next(one for one in body["models"] if one["id"] == model)
        if found["state"] == "failed":
            raise MeasurementError(f"{model} cannot be loaded: {self.said()}")
        return float(found["load_s"]) if found["state"] == "ready" else None

    def said(self) -> str:
        """Return the end of its log."""
        # Not by seeking: the server writes where this file stands.
        size = os.fstat(self._errors.fileno()).st_size
        return os.pread(self._errors.fileno(), 2000, max(size - 2000, 0)).decode(errors="replace")


def program(kind: str, *options: str) -> list[str]:
    """Return the command of one of the servers of ``program``."""
    return [sys.executable, "-m", "benchmarks.service.program", kind, *options]


def holdfast_up() -> list[str]:
    """Return the command that people run."""
    return [sys.executable, "-m", "holdfast", "up", "--port", "0"]


@contextlib.contextmanager
def served(command: Sequence[str], **settings: str) -> Iterator[Server]:
    """Run a server whose first line on standard output is its address.

    Raises:
        MeasurementError: it did not start.
    """
    environment = holdfast_environment() | settings
    with tempfile.TemporaryFile() as errors:
        started = time.perf_counter()
        process = subprocess.Popen(
            list(command), env=environment, cwd=_ROOT, stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE, stderr=errors, text=True,
        )  # fmt: skip
        assert process.stdout is not None
        try:
            server = Server(process.stdout.readline().strip(), started, errors)
            if not server.url:
                raise MeasurementError(f"{' '.join(command)} did not start: {server.said()}")
            yield server
        finally:
            process.terminate()
            try:
                process.wait(_END_WITHIN_S)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
            process.stdout.close()
