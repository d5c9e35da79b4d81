"""Bringing files: parallel connections, ranges, retries, resume; every byte counted and hashed."""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable

from holdfast.chance import jittered
from holdfast.errors import HubProtocolError, HubUnavailable
from holdfast.hub._answers import TryAgain, check_range, mismatch_error
from holdfast.hub._crew import Crew
from holdfast.hub._http import Answer, Http
from holdfast.hub._partial import Partial
from holdfast.hub._protocol import (
    error_for,
    parse_retry_after,
    resolve_url,
    retryable,
    same_origin,
)
from holdfast.refs import FileEntry, RevisionRef

__all__ = ["Download", "Downloader"]

_BACKOFF_S = 0.4
_BACKOFF_MAX_S = 8.0
_WAKE_S = 0.1
_REFUSALS = 4
_DURABLE_FROM = 1 << 20  # smaller files are flushed together, when the batch is published


class Download:
    """One file to bring, and where its bytes go.

    Attributes:
        file: what the Hub promises.
        open: makes or adopts the partial file; called by the worker that begins.
        partial: the file in the making, once begun.
        complete: verified; the partial file is closed and holds exactly the content.
        durable: its content is flushed to the disk.
        fetched: bytes received from the network, repeated ones included.
    """

    __slots__ = ("_address", "_left", "_lock", "_mismatches", "_refusals", "_users", "_whole_by",
                 "complete", "durable", "fetched", "file", "open", "partial")  # fmt: skip

    def __init__(self, file: FileEntry, open: Callable[[], Partial]) -> None:  # noqa: A002
        self.file = file
        self.open = open
        self.partial: Partial | None = None
        self.complete = False
        self.durable = False
        self.fetched = 0
        self._lock = threading.Lock()
        self._users = 0
        self._left = 0
        self._mismatches = 0
        self._refusals = 0
        self._address: str | None = None
        self._whole_by: int | None = None  # the part whose worker takes the whole body


class _Stopped(Exception):
    pass


class _Left(Exception):
    pass


class Downloader:
    """Brings the files of one revision over a few connections."""

    def __init__(
        self,
        http: Http,
        endpoint: str,
        token: str | None,
        revision: RevisionRef,
        *,
        connections: int,
        patience_s: float,
    ) -> None:
        self._http = http
        self._endpoint = endpoint
        self._token = token
        self._revision = revision
        self._patience_s = patience_s
        self._tasks: deque[tuple[Download, int | None]] = deque()
        self._changed = threading.Condition()
        self._stop = threading.Event()
        self._ended = threading.Event()
        self._failure: BaseException | None = None
        self._unfinished = 0
        self._crew = Crew(connections, self._work, self._more)
        self.trouble = ""  # the last reason for trying something again

    def run(self, downloads: list[Download], tick: Callable[[], None]) -> None:
        """Bring every file; return when all are complete. ``tick`` runs about ten times a second.

        Raises:
            HoldfastError: the first failure; what was received stays and can be resumed.
            OSError: the file system refused a write.
            KeyboardInterrupt: promptly; the same holds.
        """
        ordered = sorted(downloads, key=lambda d: d.file.size, reverse=True)
        self._tasks.extend((download, None) for download in ordered)
        self._unfinished = len(ordered)
        if not ordered:
            self._ended.set()
        try:
            self._crew.start()
            while not self._ended.wait(_WAKE_S):
                tick()
                self._crew.look()
        finally:
            self._stop.set()
            with self._changed:
                self._changed.notify_all()
        if self._failure is not None:
            raise self._failure
        tick()

    def _more(self) -> bool:
        return bool(self._tasks) and not self._stop.is_set()

    def _work(self) -> None:
        while (task := self._next()) is not None:
            download, index = task
            try:
                self._do(download, index)
            except _Stopped:
                return
            except _Left:
                continue
            except BaseException as error:  # noqa: BLE001 - handed to the caller of run
                with self._changed:
                    self._failure = self._failure or error
                    self._stop.set()
                self._ended.set()
                return
            finally:
                self._leave(download)

    def _next(self) -> tuple[Download, int | None] | None:
        with self._changed:
            while not self._tasks:
                if self._stop.is_set() or not self._unfinished:
                    return None
                self._changed.wait(_WAKE_S)
            if self._stop.is_set():
                return None
            task = self._tasks.popleft()
            task[0]._users += 1
            return task

    def _leave(self, download: Download) -> None:
        # The last one to leave a stopped download closes it: never under somebody's write.
        with self._changed:
            download._users -= 1
            abandoned = self._stop.is_set() and not download._users and not download.complete
        if abandoned and download.partial is not None:
            download.partial.close()

    def _do(self, download: Download, index: int | None) -> None:
        if index is None:
            partial = download.partial = download.open()
            missing = partial.missing()
            if not missing:
                download._left = 1
                self._part_done(download, 0)
                return
            download._left = len(missing)
            with self._changed:
                # Parts stay together at the front, so that few files are open at a time.
                self._tasks.extendleft((download, i) for i in reversed(missing[1:]))
                self._changed.notify_all()
            index = missing[0]
        self._bring_part(download, index)
        self._part_done(download, index)

    def _bring_part(self, download: Download, index: int) -> None:
        partial = _open(download)
        quiet_since = time.monotonic()
        pause = _BACKOFF_S
        while True:
            before = partial.offset(index)
            try:
                self._stream(download, partial, index)
            except TryAgain as again:
                if partial.offset(index) > before:
                    quiet_since, pause = time.monotonic(), _BACKOFF_S
                self.trouble = f"{again.error}; trying again"
                # Jitter spreads our own pauses; a time that was asked for is never cut short.
                wait = jittered(pause) if again.after_s is None else again.after_s
                if time.monotonic() + wait - quiet_since > self._patience_s:
                    raise again.error from again
                with self._crew.waits():
                    stopped = self._stop.wait(wait)
                if stopped:
                    raise _Stopped from None
                pause = min(pause * 2, _BACKOFF_MAX_S)
                continue
            return

    def _stream(self, download: Download, partial: Partial, index: int) -> None:
        if download._whole_by not in (None, index):
            raise _Left
        whole = download._whole_by == index
        if whole:
            partial.restart()
        offset = partial.offset(index)
        end = partial.starts[index] + partial.length(index)
        if offset == end and end > 0:
            return
        ranged = not whole and (len(partial.starts) > 1 or offset > 0)
        headers = {"Range": f"bytes={offset}-{end - 1}"} if ranged else {}
        try:
            answer = self._request(download, headers)
        except HubProtocolError:
            raise  # the same answer would come again
        except HubUnavailable as error:
            raise TryAgain(error) from error
        try:
            if answer.status == 206 and ranged:
                check_range(answer, offset, partial.size)
            elif answer.status == 200:
                if ranged:
                    self._take_whole(download, partial, index)
                offset, end = 0, partial.size
                self._check_length(answer, download)
            else:
                self._refused(download, answer)
            with self._crew.waits():
                self._receive(download, partial, answer, offset, end, index)
        finally:
            answer.close()

    def _request(self, download: Download, headers: dict[str, str]) -> Answer:
        source = resolve_url(
            self._endpoint, self._revision.repo, self._revision.revision, download.file.path
        )
        address = download._address or source
        token = self._token if same_origin(address, self._endpoint) else None
        with self._crew.waits():
            answer = self._http.get(address, headers, token=token)
        if answer.status in {200, 206} and answer.url != source:
            download._address = answer.url
        elif address != source and answer.status in {400, 401, 403, 404, 410}:
            # A signed address that has run out: ask the Hub for a new one.
            download._address = None
            answer.release()
            return self._http.get(source, headers, token=self._token)
        return answer

    def _check_length(self, answer: Answer, download: Download) -> None:
        encoding = answer.headers.get("Content-Encoding", "identity")
        if encoding not in {"identity", ""}:
            raise HubProtocolError(
                f"{answer.url.partition('?')[0]} sent {encoding} where identity was asked for",
                why="the bytes cannot be matched to the promised size and digest",
                hint="check what answers in the Hub's place (a compressing proxy?)",
            )
        announced = answer.headers.get("Content-Length", "")
        if announced.isdecimal() and int(announced) < download.file.size:
            self._mismatch(download, f"{announced} bytes", f"{download.file.size} bytes")
            raise TryAgain(mismatch_error(self._revision, download.file, f"{announced} bytes"))

    def _take_whole(self, download: Download, partial: Partial, index: int) -> None:
        """The server ignores ranges: one worker takes the whole body, the others leave it be."""
        with download._lock:
            if download._whole_by is not None:
                raise _Left
            download._whole_by = index
        with self._changed:
            self._tasks = deque(task for task in self._tasks if task[0] is not download)
            # Nobody else may write, or say what was written, once all of it is to come again.
            while download._users > 1 and not self._stop.is_set():
                self._changed.wait(_WAKE_S)
        partial.restart()

    def _refused(self, download: Download, answer: Answer) -> None:
        shown = answer.url.partition("?")[0]  # what follows may be a signature
        if not retryable(answer.status) and not same_origin(answer.url, self._endpoint):
            download._refusals += 1
            refusal = HubUnavailable(
                f"the Hub's storage refuses {download.file.path} of {self._revision}",
                why=f"{shown} answered {answer.status} {download._refusals} times",
                hint="check the clock (holdfast doctor), and what stands between here and there",
                file=download.file.path,
            )
            # The Hub signs addresses for a while only; a new one is asked for.
            raise TryAgain(refusal) if download._refusals < _REFUSALS else refusal
        error = error_for(
            answer.status, answer.headers, shown, self._revision,
            with_token=self._token is not None,
        )  # fmt: skip
        error.facts["file"] = download.file.path
        after = parse_retry_after(answer.headers.get("Retry-After"), time.time())
        if retryable(answer.status):
            raise TryAgain(error, after)
        raise error

    def _receive(
        self,
        download: Download,
        partial: Partial,
        answer: Answer,
        offset: int,
        end: int,
        index: int,
    ) -> None:
        try:
            for chunk in answer.chunks():
                if self._stop.is_set():
                    raise _Stopped
                if download._whole_by not in (None, index):
                    raise _Left
                kept = chunk[: end - offset]  # never more than was promised
                if not kept:
                    break
                partial.write(offset, kept)
                offset += len(kept)
                download.fetched += len(kept)
                if offset < end:
                    self._crew.widen()
        except HubUnavailable as error:
            raise TryAgain(error) from error
        if offset < end:
            raise TryAgain(
                HubUnavailable(
                    f"{answer.url.partition('?')[0]} ended early",
                    why=f"at byte {offset} of {end}", hint="try again",
                )
            )  # fmt: skip

    def _part_done(self, download: Download, index: int) -> None:
        with download._lock:
            if download._whole_by not in (None, index):
                return  # another worker brings all of it, this part included
            download._left = 0 if download._whole_by is not None else download._left - 1
            if download._left or download.complete:
                return
        partial = _open(download)
        actual = partial.verify()
        if actual is None:
            download.durable = download.file.size >= _DURABLE_FROM
            partial.finish(durable=download.durable)
            with self._changed:
                download.complete = True
                self._unfinished -= 1
                if not self._unfinished:
                    self._ended.set()
            return
        if not partial.inherited:
            self._mismatch(download, actual, download.file.digest.hex)
        # Wrong bytes, from an earlier process (never trusted) or the line: all of it once more.
        partial.restart()
        download._whole_by = None
        download._left = len(partial.starts)
        with self._changed:
            self._tasks.extendleft((download, i) for i in reversed(range(len(partial.starts))))
            self._changed.notify_all()

    def _mismatch(self, download: Download, actual: str, expected: str) -> None:
        download._mismatches += 1
        if download._mismatches > 1:
            if download.partial is not None:
                download.partial.restart()
            raise mismatch_error(self._revision, download.file, actual, expected)


def _open(download: Download) -> Partial:
    if download.partial is None:  # pragma: no cover - _do opens it first
        raise AssertionError(download.file.path)
    return download.partial
