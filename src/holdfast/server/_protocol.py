"""HTTP as uvicorn speaks it, and not waiting for ever for a client to say what it wants."""

from __future__ import annotations

import asyncio

import h11
from uvicorn.protocols.http.h11_impl import H11Protocol

__all__ = ["PatientProtocol"]

_HEAD_WITHIN_S = 20.0


class PatientProtocol(H11Protocol):
    """Closes a connection whose next request's head does not come to its end in time.

    Without it whoever opens connections and says nothing, or little, keeps them: the server runs
    out of files to open, and nobody else is answered.
    """

    _head_due: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Begin to wait."""
        super().connection_made(transport)
        self._watch()

    def data_received(self, data: bytes) -> None:
        """Take what came, and see whether the head is complete."""
        super().data_received(data)
        self._watch()

    def connection_lost(self, exc: Exception | None) -> None:
        """Stop waiting."""
        self._stop()
        super().connection_lost(exc)

    def _watch(self) -> None:
        if self.conn.their_state is not h11.IDLE:
            self._stop()
        elif self._head_due is None:
            self._head_due = self.loop.call_later(_HEAD_WITHIN_S, self.transport.close)

    def _stop(self) -> None:
        if self._head_due is not None:
            self._head_due.cancel()
            self._head_due = None
