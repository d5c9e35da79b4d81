"""Running the hub's two origins: beside a program, or as the program."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import socket
import threading
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

import uvicorn

from holdfast.errors import ConfigInvalid
from holdfast.mirror._app import HubSettings, create_app
from holdfast.mirror._log import Origin, RequestLog
from holdfast.mirror._repositories import Repositories
from holdfast.mirror._storage import Signer, create_storage_app

if TYPE_CHECKING:
    from starlette.types import ASGIApp

__all__ = ["RunningHub", "Wrap", "running_hub", "serve_hub"]

_START_WITHIN_S = 15.0
_BACKLOG = 512
_STOP_WITHIN_S = 1
_POLL_S = 0.01
# Windows delivers a signal only between two waits of the main thread.
_SIGNAL_POLL_S = 0.5

Wrap = Callable[["ASGIApp", Origin], "ASGIApp"]


@dataclass(frozen=True, slots=True)
class RunningHub:
    """A hub that answers.

    Attributes:
        url: what a client takes for ``HF_ENDPOINT``.
        storage_url: the second origin.
        log: every request to either.
        repositories: what is served; may be changed while it is.
    """

    url: str
    storage_url: str
    log: RequestLog
    repositories: Repositories


@contextlib.contextmanager
def running_hub(
    repositories: Repositories | Path,
    settings: HubSettings | None = None,
    *,
    host: str = "127.0.0.1",
    port: int = 0,
    storage_port: int = 0,
    signer: Signer | None = None,
    wrap: Wrap | None = None,
) -> Iterator[RunningHub]:
    """Serve ``repositories`` from a thread of this process while the block runs.

    Ports of 0 are chosen by the system. ``wrap`` is put around both applications, inside the log.
    Requests that are still running a second after the block's end are cut off.

    Raises:
        ConfigInvalid: an address cannot be listened on.
    """
    hub, servers, sockets = _prepare(
        repositories, settings, (host, port, storage_port), signer or Signer(), wrap
    )

    async def serve() -> None:
        await asyncio.gather(
            *(server.serve([sock]) for server, sock in zip(servers, sockets, strict=True))
        )

    failures: list[BaseException] = []

    def run() -> None:
        try:
            asyncio.run(serve())
        except BaseException as error:  # noqa: BLE001 - handed to the thread that started the hub
            failures.append(error)

    thread = threading.Thread(target=run, name="holdfast-hub", daemon=True)
    thread.start()
    try:
        _await_start(servers, thread, failures)
        yield hub
    finally:
        for server in servers:
            server.should_exit = True
        thread.join(_STOP_WITHIN_S + _START_WITHIN_S)
        for sock in sockets:
            sock.close()


def serve_hub(
    repositories: Repositories | Path,
    settings: HubSettings | None = None,
    *,
    host: str = "127.0.0.1",
    port: int = 0,
    storage_port: int = 0,
    signer: Signer | None = None,
    wrap: Wrap | None = None,
    on_start: Callable[[RunningHub], None] | None = None,
) -> None:
    """Serve ``repositories`` until the process is told to end (SIGINT, SIGTERM).

    For a program's main thread. ``on_start`` is called once the hub answers.

    Raises:
        ConfigInvalid: an address cannot be listened on.
    """
    ended = threading.Event()
    before = {
        number: signal.signal(number, lambda *_: ended.set())
        for number in (signal.SIGINT, signal.SIGTERM)
    }
    try:
        with running_hub(
            repositories,
            settings,
            host=host,
            port=port,
            storage_port=storage_port,
            signer=signer,
            wrap=wrap,
        ) as hub:
            if on_start is not None:
                on_start(hub)
            while not ended.wait(_SIGNAL_POLL_S):
                pass
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _prepare(
    repositories: Repositories | Path,
    settings: HubSettings | None,
    address: tuple[str, int, int],
    signer: Signer,
    wrap: Wrap | None,
) -> tuple[RunningHub, list[uvicorn.Server], list[socket.socket]]:
    host, port, storage_port = address
    if not isinstance(repositories, Repositories):
        repositories = Repositories(repositories)
    sockets = [_listen(host, port)]
    try:
        sockets.append(_listen(host, storage_port))
    except ConfigInvalid:
        sockets[0].close()
        raise
    ports = [sock.getsockname()[1] for sock in sockets]
    settings = replace(settings or HubSettings(), storage_port=ports[1])
    log = RequestLog()
    apps: list[tuple[ASGIApp, Origin]] = [
        (create_app(repositories, settings, signer), "hub"),
        (create_storage_app(repositories, signer), "storage"),
    ]
    servers = [
        _server(log.watch(wrap(app, origin) if wrap else app, origin)) for app, origin in apps
    ]
    shown = f"[{host}]" if ":" in host else host
    urls = [f"http://{shown}:{number}" for number in ports]
    return RunningHub(urls[0], urls[1], log, repositories), servers, sockets


def _server(app: ASGIApp) -> uvicorn.Server:
    config = uvicorn.Config(
        app,
        lifespan="off",
        ws="none",
        log_config=None,
        access_log=False,
        server_header=False,
        timeout_graceful_shutdown=_STOP_WITHIN_S,
    )
    return uvicorn.Server(config)


def _listen(host: str, port: int) -> socket.socket:
    # Asyncio turns Nagle's algorithm off only where the protocol is named; without that every
    # small answer waits 40 ms for the client's acknowledgement.
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listener = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    try:
        if os.name == "posix":
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind((host, port))
        listener.listen(_BACKLOG)
    except (OSError, OverflowError) as error:
        listener.close()
        raise ConfigInvalid(
            f"cannot listen on {host}:{port}",
            why=getattr(error, "strerror", None) or str(error),
            hint="choose another --port, or 0 for any free one",
        ) from error
    return listener


def _await_start(
    servers: Sequence[uvicorn.Server], thread: threading.Thread, failures: list[BaseException]
) -> None:
    waited = threading.Event()
    for _ in range(int(_START_WITHIN_S / _POLL_S)):
        if all(server.started for server in servers):
            return
        if not thread.is_alive():
            break
        waited.wait(_POLL_S)
    cause = failures[0] if failures else None
    raise ConfigInvalid(
        "the hub did not start",
        why=str(cause or "no answer in time"),
        hint="holdfast serve-hub DIR",
    ) from cause
