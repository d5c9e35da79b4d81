"""Messages between this process and one that it started: length, then a pickle.

Both ends are the same program started by the same user, over a pipe that nobody else has.
"""

from __future__ import annotations

import pickle
import struct
import threading
from typing import Any, BinaryIO

__all__ = ["UNSENDABLE", "Pipe"]

UNSENDABLE = (pickle.PicklingError, TypeError, AttributeError)
_LENGTH = struct.Struct("<Q")


class Pipe:
    """One end. Sending is safe from several threads, receiving is for one at a time."""

    def __init__(self, incoming: BinaryIO, outgoing: BinaryIO) -> None:
        self._incoming = incoming
        self._outgoing = outgoing
        self._turn = threading.Lock()

    def send(self, message: object) -> None:
        """Send a message.

        Raises:
            OSError: the other end is gone.
            PicklingError, TypeError, AttributeError: it cannot be sent (`UNSENDABLE`).
        """
        content = pickle.dumps(message, pickle.HIGHEST_PROTOCOL)
        with self._turn:
            self._outgoing.write(_LENGTH.pack(len(content)))
            self._outgoing.write(content)
            self._outgoing.flush()

    def receive(self) -> Any:
        """Wait for a message.

        Raises:
            EOFError: the other end is gone.
        """
        try:
            head = self._incoming.read(_LENGTH.size)
            content = self._incoming.read(_LENGTH.unpack(head)[0]) if len(head) == 8 else b""
        except (OSError, ValueError):
            raise EOFError from None
        if len(head) < _LENGTH.size or len(content) < _LENGTH.unpack(head)[0]:
            raise EOFError
        return pickle.loads(content)  # noqa: S301 - see above

    def close(self) -> None:
        """Close this end."""
        for stream in (self._outgoing, self._incoming):
            try:
                stream.close()
            except OSError:
                continue  # what was still to be written has no reader
