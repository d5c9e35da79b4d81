"""A few connections to PostgreSQL that never keep anybody waiting for long.

psycopg's own pool tries again in the background and says "timeout" in the end; here whoever asks
learns at once why the database cannot be had.
"""

from __future__ import annotations

import contextlib
import selectors
import threading
from collections.abc import Callable, Iterator
from typing import Any

import psycopg
from psycopg.conninfo import conninfo_to_dict

from holdfast.voiceprint.gallery._errors import GalleryUnusable

__all__ = ["Connection", "Connections", "shown"]

_MOST = 8
_CONNECT_S = 5
_TURN_S = 5.0
_ANSWER_S = 10.0
# The server gives up a little before the client does, and then says what it was waiting for. One
# that holds a lock and says nothing more (a stopped process) loses it.
_MANNERS = (
    "SET statement_timeout = '9s'; SET lock_timeout = '5s'; "
    "SET idle_in_transaction_session_timeout = '10s'; SELECT set_config('search_path', "
    "'holdfast_voiceprint, ' || current_setting('search_path'), false)"
)
# Whoever is gone without a word (a pulled cable) is noticed by the kernel.
_STANDARD: dict[str, Any] = {
    "connect_timeout": _CONNECT_S, "application_name": "holdfast", "keepalives_idle": 30,
    "keepalives_interval": 10, "keepalives_count": 3, "tcp_user_timeout": 10_000,
}  # fmt: skip


class Connection(psycopg.Connection[Any]):
    """A connection that is closed when the server does not answer in time.

    A limit in the server is none when the server itself stands still.
    """

    def wait(self, gen: Any, interval: float = 0.1, timeout: float | None = None) -> Any:
        """Wait for a step of psycopg's, for 10 s at most."""
        try:
            return super().wait(gen, interval, timeout or _ANSWER_S)
        except psycopg.errors._WaitTimeout:
            self.close()
            raise psycopg.OperationalError(f"no answer within {_ANSWER_S:.0f} s") from None


class Connections:
    """Lends connections, at most 8 at a time. Safe to use from several threads.

    Args:
        url: ``postgresql://user@host/database``, and whatever else libpq understands.

    Raises:
        GalleryUnusable: it cannot be read.
    """

    def __init__(self, url: str) -> None:
        self.shown = shown(url)
        self._url = url
        self._standard = {k: v for k, v in _STANDARD.items() if k not in conninfo_to_dict(url)}
        self._room = threading.BoundedSemaphore(_MOST)
        self._turn = threading.Lock()
        self._idle: list[Connection] = []
        self._closed = False

    @contextlib.contextmanager
    def one(self) -> Iterator[Connection]:
        """Lend a connection in autocommit mode; it goes back unless it broke.

        Raises:
            GalleryUnusable: there is none, or the database refused what was done with it.
        """
        if not self._room.acquire(timeout=_TURN_S):
            raise self._unusable(f"all {_MOST} connections are in use")
        try:
            with self._translated():
                connection = self._idling() or self._connected()
                try:
                    yield connection
                finally:
                    self._back(connection)
        finally:
            self._room.release()

    def close(self) -> None:
        """Close those that are idle; those that are lent are closed when they come back."""
        with self._turn:
            self._closed, idle, self._idle = True, self._idle, []
        for connection in idle:
            connection.close()

    def _connected(self) -> Connection:
        connection = Connection.connect(self._url, autocommit=True, **self._standard)
        connection.execute(_MANNERS)
        return connection

    def _idling(self) -> Connection | None:
        while True:
            with self._turn:
                if not self._idle:
                    return None
                connection = self._idle.pop()
            if not _ended(connection):
                return connection
            connection.close()

    def _back(self, connection: Connection) -> None:
        fit = connection.info.transaction_status == psycopg.pq.TransactionStatus.IDLE
        with self._turn:
            if fit and not self._closed:
                self._idle.append(connection)
                return
        connection.close()

    @contextlib.contextmanager
    def _translated(self) -> Iterator[None]:
        try:
            yield
        except psycopg.Error as error:
            raise self._unusable(_reason(error)) from error

    def _unusable(self, why: str) -> GalleryUnusable:
        return GalleryUnusable(
            f"the voiceprints in {self.shown} cannot be used", why=why,
            hint="bring the database back, or correct HOLDFAST_VOICEPRINT_DATABASE",
        )  # fmt: skip


def shown(url: str) -> str:
    """Return a database's address without its password.

    Raises:
        GalleryUnusable: it is no address.
    """
    read: Callable[[str], dict[str, Any]] = conninfo_to_dict
    try:
        parts = read(url)
    except psycopg.Error:
        parts = {}
    # A sign in a password that was not written as %XX makes a host and a port of its rest, which
    # must be shown as little as libpq's message, which quotes what it stumbled over.
    if not parts or not str(parts.get("port", "0")).replace(",", "").isdigit():
        raise GalleryUnusable(
            "the address of the voiceprints' database cannot be read",
            why="it is not of the form postgresql://user@host:port/database",
            hint="correct HOLDFAST_VOICEPRINT_DATABASE; write @ : / % in a password as %40 %3A "
            "%2F %25",
        )
    user, host, port = (str(parts.get(name, "")) for name in ("user", "host", "port"))
    place = (f"{user}@" if user else "") + host + (f":{port}" if port else "")
    return f"postgresql://{place}/{parts.get('dbname', '')}"


def _reason(error: psycopg.Error) -> str:
    # The first line is what happened; then come hints for whoever runs a server.
    lines = str(error).strip().splitlines()
    return lines[0] if lines else type(error).__name__


def _ended(connection: Connection) -> bool:
    """Say whether the server has hung up: there is something to read though nothing was asked."""
    if connection.closed:
        return True
    with selectors.DefaultSelector() as selector:
        selector.register(connection.fileno(), selectors.EVENT_READ)
        return bool(selector.select(0))
