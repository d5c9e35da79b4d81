"""A file in the making: written in parts by several threads, hashed as it grows, resumable.

While it is incomplete the file holds its content at the right places and, behind the content, a
journal: how many bytes of each part are there. Killed at any point, what is lost is what was
received but not yet recorded: less than a megabyte a connection. The journal is only a claim; the
digest of the whole file decides before anything is published.
"""

from __future__ import annotations

import bisect
import contextlib
import os
import struct
import threading
from pathlib import Path

from holdfast.places import Modes, fallocate, fsync, open_new, start_writeback
from holdfast.refs import Digest

__all__ = ["PART_SIZE", "Partial", "claimed"]

PART_SIZE = 32 << 20
_JOURNALED_FROM = 8 << 20  # smaller files are written front to back: their length is the journal
_HASH_STEP = 1 << 20
_WRITEBACK_STEP = 32 << 20
_HEAD = struct.Struct("<8sQ")
_COUNT = struct.Struct("<Q")
_MAGIC = b"HOLDPRT1"


class Partial:
    """One file being received.

    Args:
        path: where it grows; a name of this process's own.
        size: bytes of the finished file.
        digest: what they must hash to.
        modes: permission bits.
        adopt: the path is an earlier process's file, renamed; take over what it holds.

    Raises:
        OSError: the file cannot be made or read.
    """

    def __init__(
        self, path: Path, size: int, digest: Digest, modes: Modes, *, adopt: bool = False
    ) -> None:
        self.path = path
        self.size = size
        self.digest = digest
        self.starts = list(range(0, size, PART_SIZE)) or [0]
        self._done = [0] * len(self.starts)
        self._journaled = size >= _JOURNALED_FROM
        self._hasher = digest.hasher(size)
        self._hashed = 0
        self._hash_lock = threading.Lock()
        self._io_lock = threading.Lock()  # only for systems without pwrite
        self._unflushed = 0
        if adopt:
            flags = os.O_RDWR | getattr(os, "O_BINARY", 0) | getattr(os, "O_CLOEXEC", 0)
            self._descriptor = os.open(path, flags)
            self._take_over()
        else:
            self._descriptor = open_new(path, modes)
        self.inherited = sum(self._done)
        if self._journaled:
            self._reserve()

    def _reserve(self) -> None:
        fallocate(self._descriptor, self.size + _HEAD.size + _COUNT.size * len(self.starts))
        self._write_at(self.size, _HEAD.pack(_MAGIC, PART_SIZE) + self._counts())

    def _counts(self) -> bytes:
        return b"".join(_COUNT.pack(done) for done in self._done)

    def _take_over(self) -> None:
        length = os.fstat(self._descriptor).st_size
        journal = _HEAD.size + _COUNT.size * len(self.starts)
        if self._journaled and length == self.size + journal:
            tail = self._read_at(self.size, journal)
            magic, part_size = _HEAD.unpack_from(tail)
            if magic == _MAGIC and part_size == PART_SIZE:
                for index in range(len(self.starts)):
                    (done,) = _COUNT.unpack_from(tail, _HEAD.size + index * _COUNT.size)
                    self._done[index] = min(done, self.length(index))
                return
        if length == self.size or (not self._journaled and length < self.size):
            for index, start in enumerate(self.starts):
                self._done[index] = min(max(length - start, 0), self.length(index))
            return
        os.truncate(self._descriptor, 0)

    def length(self, index: int) -> int:
        """Return the bytes of a part."""
        return min(self.size - self.starts[index], PART_SIZE)

    def offset(self, index: int) -> int:
        """Return where a part's next byte belongs."""
        return self.starts[index] + self._done[index]

    def missing(self) -> list[int]:
        """Return the parts that are not complete."""
        return [i for i in range(len(self.starts)) if self._done[i] < self.length(i)]

    @property
    def received(self) -> int:
        """Bytes that are there."""
        return sum(self._done)

    def write(self, offset: int, data: bytes) -> None:
        """Store bytes that continue one part, or run over into the following ones.

        Raises:
            OSError: the file system refused (no space, quota, I/O error).
        """
        self._write_at(offset, data)
        position, left = offset, len(data)
        while left:
            index = bisect.bisect_right(self.starts, position) - 1
            step = min(left, self.starts[index] + self.length(index) - position)
            self._done[index] = position + step - self.starts[index]
            if self._journaled:
                where = self.size + _HEAD.size + index * _COUNT.size
                self._write_at(where, _COUNT.pack(self._done[index]))
            position += step
            left -= step
        self._hash(offset, data)
        self._unflushed += len(data)
        if self._unflushed >= _WRITEBACK_STEP:
            self._unflushed = 0
            start_writeback(self._descriptor, 0, 0)

    def _hash(self, offset: int, data: bytes) -> None:
        # Whoever comes first hashes for all; the others go back to their connections.
        if not self._hash_lock.acquire(blocking=False):
            return
        try:
            if offset == self._hashed:
                self._hasher.update(data)
                self._hashed += len(data)
            self._catch_up()
        finally:
            self._hash_lock.release()

    def _catch_up(self) -> None:
        while (ready := self._contiguous()) > self._hashed:
            chunk = self._read_at(self._hashed, min(_HASH_STEP, ready - self._hashed))
            if not chunk:
                return  # the file is shorter than its journal claims: the digest will not fit
            self._hasher.update(chunk)
            self._hashed += len(chunk)

    def _contiguous(self) -> int:
        first = self._hashed // PART_SIZE
        for index in range(first, len(self.starts)):
            if self._done[index] < self.length(index):
                return self.offset(index)
        return self.size

    def verify(self) -> str | None:
        """Hash what is left; return None when the digest fits, else the actual digest."""
        with self._hash_lock:
            self._catch_up()
            actual = self._hasher.hexdigest()
        return None if actual == self.digest.hex and self._hashed == self.size else actual

    def restart(self) -> None:
        """Forget everything that was received."""
        with self._hash_lock:
            self._done = [0] * len(self.starts)
            self._hasher = self.digest.hasher(self.size)
            self._hashed = 0
            self.inherited = 0
            os.truncate(self._descriptor, 0)
            if self._journaled:
                self._reserve()

    def finish(self, *, durable: bool) -> None:
        """Cut the journal off, make the content durable if asked to, and close the file."""
        if self._journaled:
            os.truncate(self._descriptor, self.size)
        if durable:
            fsync(self._descriptor)
        self.close()

    def close(self) -> None:
        """Close the file and leave it as it is, to be resumed."""
        descriptor, self._descriptor = self._descriptor, -1
        if descriptor >= 0:
            os.close(descriptor)

    def discard(self) -> None:
        """Close the file and remove it."""
        self.close()
        with contextlib.suppress(FileNotFoundError):
            self.path.unlink()

    def _write_at(self, offset: int, data: bytes) -> None:
        view = memoryview(data)
        while view:
            if hasattr(os, "pwrite"):
                written = os.pwrite(self._descriptor, view, offset)
            else:  # Windows
                with self._io_lock:
                    os.lseek(self._descriptor, offset, os.SEEK_SET)
                    written = os.write(self._descriptor, view)
            offset += written
            view = view[written:]

    def _read_at(self, offset: int, count: int) -> bytes:
        if hasattr(os, "pread"):
            return os.pread(self._descriptor, count, offset)
        with self._io_lock:
            os.lseek(self._descriptor, offset, os.SEEK_SET)
            return os.read(self._descriptor, count)


def claimed(path: Path, size: int) -> int:
    """Return how many bytes of its content a file in the making claims to hold.

    Raises:
        OSError: the file cannot be read.
    """
    parts = len(range(0, size, PART_SIZE)) or 1
    with path.open("rb") as file:
        length = file.seek(0, os.SEEK_END)
        if length <= size:
            return length
        file.seek(size)
        tail = file.read(_HEAD.size + _COUNT.size * parts)
    if len(tail) < _HEAD.size + _COUNT.size * parts or tail[:8] != _MAGIC:
        return 0
    total: int = sum(count for (count,) in _COUNT.iter_unpack(tail[_HEAD.size :]))
    return min(size, total)
