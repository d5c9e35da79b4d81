"""Asking the Hub: which commit a revision is, and which files it holds."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping
from typing import TypeVar
from urllib.parse import quote

from holdfast.chance import jittered
from holdfast.config import Settings
from holdfast.errors import HubUnavailable
from holdfast.hub._download import Downloader
from holdfast.hub._http import Answer, Http, within
from holdfast.hub._protocol import (
    error_for,
    next_page,
    parse_description,
    parse_retry_after,
    parse_tree,
    retryable,
)
from holdfast.refs import FileEntry, RevisionRef

__all__ = ["HubClient"]

T = TypeVar("T")
_ATTEMPTS = 4
_MAX_PAGES = 10_000


class HubClient:
    """The Hub's protocol, as far as bringing models needs it.

    Args:
        settings: endpoint, token and limits.
        env: the environment's variables, for proxies and certificates.
    """

    def __init__(self, settings: Settings, env: Mapping[str, str]) -> None:
        self._settings = settings
        self._endpoint = settings.endpoint
        self._http = Http(
            connect_timeout_s=settings.connect_timeout_s,
            stall_timeout_s=settings.stall_timeout_s,
            connections=settings.connections,
            env=env,
        )

    def get_ready(self) -> None:
        """Begin, in the background, what the first request will need; nothing is sent."""
        threading.Thread(target=self._http.load, name="holdfast-http", daemon=True).start()

    def describe(self, ref: RevisionRef, *, limit_s: float) -> tuple[str, list[FileEntry] | None]:
        """Return the commit that a revision is now, and its files if they were told along.

        Raises:
            HubUnavailable: no usable answer within ``limit_s`` seconds, retries included.
            RepoNotFound, RevisionNotFound, GatedRepo, AccessDenied: what the Hub says.
        """
        revision = quote(ref.revision, safe="")
        url = f"{self._endpoint}/api/{ref.repo.api_path}/revision/{revision}?blobs=true"
        return self._limited(
            ref, limit_s, lambda deadline: parse_description(self._read(url, ref, deadline)[0], url)
        )

    def tree(self, ref: RevisionRef, *, limit_s: float) -> list[FileEntry]:
        """Return all files of a revision, page by page.

        Raises:
            HubProtocolError: the listing is malformed.
            HubUnavailable, RepoNotFound, ...: as for `describe`.
        """
        first = f"{self._endpoint}/api/{ref.repo.api_path}/tree/{quote(ref.revision, safe='')}"

        def read_pages(deadline: float) -> list[FileEntry]:
            files: list[FileEntry] = []
            url: str | None = f"{first}?recursive=true&expand=false"
            seen: set[str] = set()
            while url is not None and url not in seen and len(seen) < _MAX_PAGES:
                seen.add(url)
                body, answer = self._read(url, ref, deadline)
                files.extend(parse_tree(body, url))
                url = next_page(answer.headers, url)
            return files

        return self._limited(ref, limit_s, read_pages)

    def ping(self, *, limit_s: float) -> tuple[int, str | None]:
        """Return the status of asking who we are, and the Hub's ``Date``.

        Raises:
            HubUnavailable: no answer within ``limit_s`` seconds.
        """

        def ask() -> tuple[int, str | None]:
            url = f"{self._endpoint}/api/whoami-v2"
            answer = self._http.get(url, {}, token=self._settings.token)
            answer.release()
            return answer.status, answer.headers.get("Date")

        return within(limit_s, ask, what=f"who we are at {self._endpoint}")

    def downloader(self, ref: RevisionRef) -> Downloader:
        """Return what brings files of a revision."""
        return Downloader(
            self._http,
            self._endpoint,
            self._settings.token,
            ref,
            connections=self._settings.connections,
            patience_s=self._settings.patience_s,
        )

    def _limited(self, ref: RevisionRef, limit_s: float, work: Callable[[float], T]) -> T:
        deadline = time.monotonic() + limit_s
        return within(limit_s, lambda: work(deadline), what=f"{ref} from {self._endpoint}")

    def _read(self, url: str, ref: RevisionRef, deadline: float) -> tuple[bytes, Answer]:
        pause = 0.5
        for attempt in range(_ATTEMPTS):
            last = attempt == _ATTEMPTS - 1
            wait = jittered(pause)
            try:
                answer = self._http.get(url, {}, token=self._settings.token)
                if answer.status == 200:
                    return answer.body(), answer
                answer.release()
            except HubUnavailable:
                if last or time.monotonic() + wait > deadline:
                    raise
            else:
                asked = parse_retry_after(answer.headers.get("Retry-After"), time.time())
                wait = wait if asked is None else asked
                hopeless = last or time.monotonic() + wait > deadline
                if hopeless or not retryable(answer.status):
                    raise error_for(
                        answer.status, answer.headers, url, ref,
                        with_token=self._settings.token is not None,
                    )  # fmt: skip
            time.sleep(wait)
            pause *= 2
        raise AssertionError("the last attempt returns or raises")  # pragma: no cover
