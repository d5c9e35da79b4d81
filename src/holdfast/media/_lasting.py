"""A file that FFmpeg may go on reading after its owner has closed it."""

from __future__ import annotations

from typing import BinaryIO

__all__ = ["Lasting"]

_FAILED = -1


class Lasting:
    """A file that is at its end once it is closed.

    An upload goes with the client that sent it, also while it is decoded. What a file raises then
    PyAV prints on standard error, from within FFmpeg, where nobody can catch it.
    """

    def __init__(self, file: BinaryIO) -> None:
        self._file = file

    def read(self, size: int = -1) -> bytes:
        """Return what comes next."""
        try:
            return self._file.read(size)
        except ValueError:
            return b""

    def seek(self, offset: int, whence: int = 0) -> int:
        """Go elsewhere; -1 is FFmpeg's own word for a failure."""
        try:
            return self._file.seek(offset, whence)
        except ValueError:
            return _FAILED

    def tell(self) -> int:
        """Return where it is."""
        try:
            return self._file.tell()
        except ValueError:
            return _FAILED

    def seekable(self) -> bool:
        """Return whether one may go elsewhere in it."""
        try:
            return self._file.seekable()
        except ValueError:
            return False
