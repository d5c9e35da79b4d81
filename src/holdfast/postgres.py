"""A few connections to PostgreSQL that never keep anybody waiting for long. Needs psycopg.

psycopg's own pool tries again in the background and says "timeout" in the end; here whoever asks
learns at once why the database cannot be had.
"""

from __future__ import annotations

import contextlib
import selectors
import threading
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import psycopg
from psycopg.conninfo import conninfo_to_dict

from holdfast.errors import HoldfastError

__all__ = ["Connection", "Connections", "Kept", "shown"]

_MOST = 8
_CONNECT_S = 5
_TURN_S = 5.0
_ANSWER_S = 10.0
# Whoever is gone without a word (a pulled cable) is noticed by the kernel.
_STANDARD: dict[str, Any] = {
    "connect_timeout": _CONNECT_S, "application_name": "holdfast", "keepalives_idle": 30,
    "keepalives_interval": 10, "keepalives_count": 3, "tcp_user_timeout": 10_000,
}  # fmt: skip


class Kept(NamedTuple):
    """What is kept in a database, for its errors.

    Attributes:
        what: in the plural, as in "the voiceprints".
        schema: in which its tables are; comes first in the search path.
        error: is raised where the database cannot be used.
        setting: what is to be corrected where its address is wrong.
        retry_after_s: when to try again, where that is told to clients.
    """

    what: str
    schema: str
    error: type[HoldfastError]
    setting: str
    retry_after_s: int | None = None

    def unusable(self, what: str, why: str, hint: str) -> HoldfastError:
        """Return the error that says so."""
        facts = {} if self.retry_after_s is None else {"retry_after_s": self.retry_after_s}
        return self.error(what, why=why, hint=hint, **facts)


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
        kept: what is kept there; its error is raised where the address cannot be read.
    """

    def __init__(self, url: str, kept: Kept) -> None:
        self.shown = shown(url, kept)
        self._url = url
        self._kept = kept
        self._standard = {k: v for k, v in _STANDARD.items() if k not in conninfo_to_dict(url)}
        self._room = threading.BoundedSemaphore(_MOST)
        self._turn = threading.Lock()
        self._idle: list[Connection] = []
        self._closed = False

    @contextlib.contextmanager
    def one(self) -> Iterator[Connection]:
        """Lend a connection in autocommit mode; it goes back unless it broke.

        Raises:
            HoldfastError: the kept's: there is none, or the database refused what was done.
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
        connection.execute(_manners(self._kept.schema))
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
            # Where one broke, those beside it lead into the same silence.
            idle, self._idle = self._idle, []
        for each in (connection, *idle):
            each.close()

    @contextlib.contextmanager
    def _translated(self) -> Iterator[None]:
        try:
            yield
        except psycopg.Error as error:
            raise self._unusable(_reason(error)) from error

    def _unusable(self, why: str) -> HoldfastError:
        return self._kept.unusable(
            f"the {self._kept.what} in {self.shown} cannot be used", why,
            f"bring the database back, or correct {self._kept.setting}",
        )  # fmt: skip


def _manners(schema: str) -> str:
    # The server gives up a little before the client does, and then says what it was waiting for.
    # One that holds a lock and says nothing more (a stopped process) loses it. What was committed
    # is on a disk, whatever is usual there; who asked for more than that has it.
    return (
        f"SET statement_timeout = '{_ANSWER_S * 900:.0f}ms'; "
        f"SET lock_timeout = '{_TURN_S * 1000:.0f}ms'; "
        f"SET idle_in_transaction_session_timeout = '{_ANSWER_S:.0f}s'; "
        "SELECT set_config('synchronous_commit', 'on', false) "
        "WHERE current_setting('synchronous_commit') = 'off'; "
        f"SELECT set_config('search_path', '{schema}, ' || current_setting('search_path'), false)"
    )


def shown(url: str, kept: Kept) -> str:
    """Return a database's address without its password.

    Args:
        url: the address.
        kept: what is kept there; its error is raised where that is no address.
    """
    read: Callable[[str], dict[str, Any]] = conninfo_to_dict
    try:
        parts = read(url)
    except psycopg.Error:
        parts = {}
    # A sign in a password that was not written as %XX makes a host and a port of its rest, which
    # must be shown as little as libpq's message, which quotes what it stumbled over.
    if not parts or not str(parts.get("port", "0")).replace(",", "").isdigit():
        raise kept.unusable(
            f"the address of the {kept.what}' database cannot be read",
            "it is not of the form postgresql://user@host:port/database",
            f"correct {kept.setting}; write @ : / % in a password as %40 %3A %2F %25",
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
