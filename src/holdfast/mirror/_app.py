"""The hub's first origin: everything but the large files."""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qs, quote, urlencode, urlsplit

from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, Response
from starlette.types import ASGIApp, Receive, Scope, Send

from holdfast.errors import (
    AccessDenied,
    EntryNotFound,
    GatedRepo,
    HoldfastError,
    RepoNotFound,
    RevisionNotFound,
)
from holdfast.mirror import _answers
from holdfast.mirror._files import FileBody
from holdfast.mirror._objects import Commit, Entry
from holdfast.mirror._repositories import Access, Repositories
from holdfast.mirror._routes import Route, parse_path
from holdfast.mirror._storage import Signer
from holdfast.refs import RepoRef

__all__ = ["Account", "HubSettings", "create_app"]

_FORM_BYTES = 4 * 1024 * 1024
_COMMITS_PER_PAGE = 50
_CODES: dict[type[HoldfastError], tuple[int, str]] = {
    RepoNotFound: (404, "RepoNotFound"),
    RevisionNotFound: (404, "RevisionNotFound"),
    EntryNotFound: (404, "EntryNotFound"),
    GatedRepo: (403, "GatedRepo"),
    AccessDenied: (401, ""),
}


@dataclass(frozen=True, slots=True)
class Account:
    """The holder of a token. ``reads``: ids of the closed repositories open to it, None for all."""

    name: str
    reads: frozenset[str] | None = None

    def may_read(self, repo: RepoRef) -> bool:
        """Return whether a private or gated ``repo`` is open to this account."""
        return self.reads is None or str(repo) in self.reads


@dataclass(frozen=True, slots=True)
class HubSettings:
    """How the hub answers.

    Attributes:
        page_entries: files and folders on one page of a tree.
        accounts: by token. Without any, tokens are neither wanted nor looked at, so a client that
            always sends one is served; with some, an unknown token is refused.
        storage_url: an address below which something else serves the committed LFS content by its
            sha256 (``Repositories.lfs_folder``); large files are redirected there.
        storage_port: the port of this hub's own second origin, on the host that the client named.
            Without ``storage_url`` and ``storage_port`` large files are answered directly.
    """

    page_entries: int = 1000
    accounts: Mapping[str, Account] = field(default_factory=dict, repr=False)
    storage_url: str = ""
    storage_port: int = 0


def create_app(
    repositories: Repositories, settings: HubSettings | None = None, signer: Signer | None = None
) -> ASGIApp:
    """Return the application of the first origin.

    ``signer`` makes the links to the second origin; share it with ``create_storage_app``.
    """
    hub = _Hub(repositories, settings or HubSettings(), signer or Signer())

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            return
        request = Request(scope, receive)
        body = b""
        if scope["method"] == "POST":
            async for block in request.stream():
                body += block
                if len(body) > _FORM_BYTES:
                    break
        answer = await asyncio.to_thread(hub.answer, request, body)
        await answer(scope, receive, send)

    return app


class _Hub:
    def __init__(self, repositories: Repositories, settings: HubSettings, signer: Signer) -> None:
        self._repositories = repositories
        self._settings = settings
        self._signer = signer

    def answer(self, request: Request, body: bytes) -> Response:
        """Answer one request whose ``body`` was read."""
        raw_path = request.scope["raw_path"].decode("ascii", "replace")
        if len(body) > _FORM_BYTES:
            return _refusal(413, f"more than {_FORM_BYTES} bytes")
        readings = parse_path(raw_path)
        if not readings and raw_path != "/":
            return _refusal(404, "no such route")
        posts = bool(readings) and readings[0].action == "paths-info"
        wanted = {"POST"} if posts else {"GET", "HEAD"}
        if request.method not in wanted:
            return _refusal(405, "method not allowed", allow=", ".join(sorted(wanted)))
        account: Account | None = None
        try:
            account = self._account(request)
            if not readings:
                return self._front(account)
            return self._dispatch(request, body, readings, account)
        except HoldfastError as error:
            if type(error) not in _CODES:
                raise
            return self._error(error, anonymous=account is None)

    def _front(self, account: Account | None) -> Response:
        shown = [
            str(repo)
            for repo in self._repositories.list()
            if not self._repositories.access(repo).private or (account and account.may_read(repo))
        ]
        return JSONResponse({"service": "holdfast-hub", "repositories": shown})

    def _account(self, request: Request) -> Account | None:
        header = request.headers.get("authorization")
        if header is None or not self._settings.accounts:
            return None
        scheme, _, token = header.partition(" ")
        account = self._settings.accounts.get(token.strip()) if scheme == "Bearer" else None
        if account is None:
            raise AccessDenied("Invalid credentials in Authorization header")
        return account

    def _dispatch(
        self, request: Request, body: bytes, readings: Sequence[Route], account: Account | None
    ) -> Response:
        if readings[0].repo is None:
            if account is None:
                raise AccessDenied("Invalid username or password.")
            return JSONResponse(_answers.account_answer(account.name))
        known = (r for r in readings if r.repo and self._known(r.repo))
        route = next(known, readings[0])
        assert route.repo is not None
        access = self._repositories.access(route.repo)
        if access.moved_to:
            return _moved(route, access.moved_to, request.url.query)
        _check_access(route, access, account)
        handlers: dict[str, Callable[[Route, RepoRef, Request, bytes], Response]] = {
            "info": self._info,
            "tree": self._tree,
            "paths-info": self._paths_info,
            "refs": self._refs,
            "commits": self._commits,
            "resolve": self._resolve,
        }
        return handlers[route.action](route, route.repo, request, body)

    def _known(self, repo: RepoRef) -> bool:
        return self._repositories.exists(repo) or bool(self._repositories.access(repo).moved_to)

    def _error(self, error: HoldfastError, *, anonymous: bool) -> Response:
        status, code = _CODES[type(error)]
        if anonymous and self._settings.accounts and isinstance(error, RepoNotFound | GatedRepo):
            status = 401  # As the Hub does: with a token the answer might be another.
        headers = {"x-error-message": quote(error.what, safe=" '\"/:.,()@<>")}
        if code:
            headers["x-error-code"] = code
        if "commit" in error.facts:
            headers["x-repo-commit"] = error.facts["commit"]
        return JSONResponse({"error": error.what}, status, headers)

    def _info(self, route: Route, repo: RepoRef, request: Request, body: bytes) -> Response:
        del body
        access = self._repositories.access(repo)
        answer = _answers.info_answer(
            repo,
            self._repositories.at(repo, route.revision),
            private=access.private,
            gated=access.gated,
            blobs=_flag(request.query_params.get("blobs")),
        )
        return JSONResponse(answer)

    def _tree(self, route: Route, repo: RepoRef, request: Request, body: bytes) -> Response:
        del body
        query = request.query_params
        commit = self._repositories.at(repo, route.revision)
        try:
            paths = _answers.listing(commit, route.path, recursive=_flag(query.get("recursive")))
        except EntryNotFound as error:
            error.facts["commit"] = commit.id
            raise
        limit = _limit(query.get("limit"), self._settings.page_entries)
        page, cursor = _answers.page_of(paths, query.get("cursor"), limit)
        expand = _flag(query.get("expand"))
        return self._page(request, self._describe(repo, commit, page, expand=expand), cursor)

    def _paths_info(self, route: Route, repo: RepoRef, request: Request, body: bytes) -> Response:
        commit = self._repositories.at(repo, route.revision)
        if request.headers.get("content-type", "").startswith("application/json"):
            try:
                form = json.loads(body)
                asked, expand = form["paths"], bool(form.get("expand"))
            except (ValueError, TypeError, KeyError):
                return _refusal(400, "the body must be an object with 'paths'")
        else:
            fields = parse_qs(body.decode("utf-8", "replace"))
            asked, expand = fields.get("paths", []), _flag(fields.get("expand", [""])[0])
        named = [str(path).strip("/") for path in asked]
        there = [path for path in named if path and _item(commit, path) is not None]
        return JSONResponse(self._describe(repo, commit, there, expand=expand))

    def _refs(self, route: Route, repo: RepoRef, request: Request, body: bytes) -> Response:
        del route, body
        branches, tags = self._repositories.refs(repo)
        pull_requests = _flag(request.query_params.get("include_prs"))
        return JSONResponse(_answers.refs_answer(branches, tags, pull_requests=pull_requests))

    def _commits(self, route: Route, repo: RepoRef, request: Request, body: bytes) -> Response:
        del body
        commit = self._repositories.at(repo, route.revision)
        history = list(self._repositories.history(repo, commit))
        query = request.query_params
        limit = _limit(query.get("limit"), _COMMITS_PER_PAGE)
        page, cursor = _answers.page_of(history, query.get("cursor"), limit)
        formatted = "formatted" in query.getlist("expand[]")
        found = [_answers.commit_answer(item, formatted=formatted) for item in page]
        return self._page(request, found, cursor)

    def _resolve(self, route: Route, repo: RepoRef, request: Request, body: bytes) -> Response:
        del body
        commit = self._repositories.at(repo, route.revision)
        entry = commit.files.get(route.path)
        if entry is None:
            raise EntryNotFound("Entry not found", commit=commit.id)
        headers = {"x-repo-commit": commit.id, "content-disposition": _disposition(entry.path)}
        if entry.sha256 is None:
            return FileBody(self._repositories.content(repo, entry), entry.size, entry.oid, headers)
        headers |= {"x-linked-etag": f'"{entry.sha256}"', "x-linked-size": str(entry.size)}
        location = self._storage_link(request, entry.sha256)
        if location is None:
            path = self._repositories.content(repo, entry)
            return FileBody(path, entry.size, entry.sha256, headers)
        headers |= {"location": location, "etag": f'"{entry.sha256}"', "accept-ranges": "bytes"}
        return PlainTextResponse(f"Found. Redirecting to {location}", 302, headers)

    def _storage_link(self, request: Request, sha256: str) -> str | None:
        elsewhere = self._settings.storage_url.rstrip("/")
        if elsewhere and (self._repositories.lfs_folder / sha256).is_file():
            return f"{elsewhere}/{sha256}"
        port = self._settings.storage_port
        if not port:
            return None
        host = urlsplit(f"//{request.headers.get('host', '')}").hostname or "127.0.0.1"
        host = f"[{host}]" if ":" in host else host
        return f"{request.url.scheme}://{host}:{port}/{sha256}?{self._signer.query(sha256)}"

    def _describe(
        self, repo: RepoRef, commit: Commit, paths: Sequence[str], *, expand: bool
    ) -> list[dict[str, Any]]:
        last = self._last_changes(repo, commit, paths) if expand else {}
        return [
            _answers.file_answer(commit.files[path], last.get(path))
            if path in commit.files
            else _answers.folder_answer(path, commit.folders[path], last.get(path))
            for path in paths
        ]

    def _last_changes(
        self, repo: RepoRef, commit: Commit, paths: Sequence[str]
    ) -> dict[str, Commit]:
        last: dict[str, Commit] = {}
        history = list(self._repositories.history(repo, commit))
        for newer, older in zip(history, [*history[1:], None], strict=True):
            for path in paths:
                if path not in last and (older is None or _item(older, path) != _item(newer, path)):
                    last[path] = newer
        return last

    def _page(self, request: Request, items: list[dict[str, Any]], cursor: str | None) -> Response:
        headers = {}
        if cursor is not None:
            others = [(k, v) for k, v in request.query_params.multi_items() if k != "cursor"]
            path = request.scope["raw_path"].decode("ascii", "replace")
            base = f"{request.url.scheme}://{request.url.netloc}{path}"
            headers["link"] = f'<{base}?{urlencode([*others, ("cursor", cursor)])}>; rel="next"'
        return JSONResponse(items, headers=headers)


def _check_access(route: Route, access: Access, account: Account | None) -> None:
    repo = route.repo
    assert repo is not None
    if account is not None and account.may_read(repo):
        return
    if access.private:
        raise RepoNotFound(f"there is no {repo.type} repository {repo.id!r} here")
    if access.gated and route.action == "resolve":
        raise GatedRepo(
            f"Access to {repo.type} {repo.id} is restricted. "
            "You must have access to it and be authenticated to access it."
        )


def _moved(route: Route, moved_to: str, query: str) -> Response:
    assert route.repo is not None
    new = RepoRef(moved_to, route.repo.type)
    path = new.resolve_prefix if route.action == "resolve" else f"api/{new.api_path}"
    location = f"/{path}{route.tail}" + (f"?{query}" if query else "")
    return PlainTextResponse(f"Redirecting to {location}", 307, {"location": location})


def _refusal(status: int, message: str, **headers: str) -> Response:
    return JSONResponse({"error": message}, status, headers)


def _item(commit: Commit, path: str) -> Entry | str | None:
    return commit.files.get(path) or commit.folders.get(path)


def _flag(value: str | None) -> bool:
    return value is not None and value.lower() in {"1", "true", "yes"}


def _limit(value: str | None, most: int) -> int:
    return min(max(int(value[:9]), 1), most) if value and re.fullmatch("[0-9]+", value) else most


def _disposition(path: str) -> str:
    name = path.rpartition("/")[2]
    plain = name.encode("ascii", "replace").decode().replace('"', "'").replace("\\", "_")
    plain = "".join(char if char.isprintable() else "_" for char in plain)
    return f"inline; filename*=UTF-8''{quote(name, safe='')}; filename=\"{plain}\";"
