"""Running the application: beside a program, or as the program."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import socket
import sys
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

import uvicorn
from starlette.types import ASGIApp

from holdfast.errors import ConfigInvalid, HoldfastError
from holdfast.server._app import create_app
from holdfast.server._protocol import PatientProtocol
from holdfast.server._settings import ServerSettings

if TYPE_CHECKING:
    from holdfast.wiring import Services

__all__ = ["RunningServer", "listen", "prompt_answers", "running_server", "serve", "uvicorn_over"]

_START_WITHIN_S = 30.0
_BACKLOG = 512
# For what is still flowing when its time is over.
_STOP_WITHIN_S = 1
_POLL_S = 0.01
# Windows delivers a signal only between two waits of the main thread.
_SIGNAL_POLL_S = 0.5
# Python lets a thread that computes go on for 5 ms before another may; the server's, which lets go
# of the interpreter at every read and write, waits that long several times a request.
_SWITCH_S = 0.0005


@dataclass(frozen=True, slots=True)
class RunningServer:
    """A server that answers at ``url``, ready or not."""

    url: str


@contextlib.contextmanager
def running_server(
    services: Services, settings: ServerSettings | None = None
) -> Iterator[RunningServer]:
    """Serve from a thread of this process while the block runs.

    Requests that are being answered at the block's end have the settings' ``shutdown_s``.

    Raises:
        ConfigInvalid: the address cannot be listened on.
    """
    settings = settings or ServerSettings(port=0)
    listener = listen(settings)
    app = create_app(services, settings)
    server = uvicorn_over(app)
    failures: list[BaseException] = []

    def run() -> None:
        try:
            asyncio.run(server.serve([listener]))
        except BaseException as error:  # noqa: BLE001 - handed to the thread that started it
            failures.append(error)

    thread = threading.Thread(target=run, name="holdfast-server", daemon=True)
    thread.start()
    try:
        _await_start(server, thread, failures)
        host = f"[{settings.host}]" if ":" in settings.host else settings.host
        yield RunningServer(f"http://{host}:{listener.getsockname()[1]}")
    finally:
        # The port goes on answering, with 503 to new work, until what was begun is done.
        until = time.monotonic() + settings.shutdown_s
        app.state.doors.close(settings.shutdown_s)
        services.supervisor.drain(max(until - time.monotonic(), 0))
        server.should_exit = True
        thread.join(_STOP_WITHIN_S + _START_WITHIN_S)
        listener.close()


def serve(
    services: Services,
    settings: ServerSettings,
    on_start: Callable[[RunningServer], None] | None = None,
    *,
    require_ready: bool = False,
) -> HoldfastError | None:
    """Serve until the process is told to end (SIGINT, SIGTERM). For a program's main thread.

    ``on_start`` is called once the port answers, which is before the models are ready. With
    ``require_ready`` the first failure to bring a preloaded model up ends it, and is returned.

    Raises:
        ConfigInvalid: the address cannot be listened on.
    """
    ended = threading.Event()
    failed: HoldfastError | None = None
    before = {
        number: signal.signal(number, lambda *_: ended.set())
        for number in (signal.SIGINT, signal.SIGTERM)
    }
    try:
        with prompt_answers(), running_server(services, settings) as server:
            if on_start is not None:
                on_start(server)
            while not ended.wait(_SIGNAL_POLL_S):
                failed = services.supervisor.failure() if require_ready else None
                if failed is not None:
                    break
                require_ready = require_ready and not services.supervisor.wait_ready(0)
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
    return failed


@contextlib.contextmanager
def prompt_answers() -> Iterator[None]:
    """Let the server's thread have its turn soon, whatever a model computes in Python.

    For a process that is ours: it holds for all its threads (docs/adr/0022).
    """
    before = sys.getswitchinterval()
    sys.setswitchinterval(min(before, _SWITCH_S))
    try:
        yield
    finally:
        sys.setswitchinterval(before)


def uvicorn_over(app: ASGIApp) -> uvicorn.Server:
    """Return the server for ``app``, which has not begun."""
    return uvicorn.Server(
        uvicorn.Config(
            app,
            http=PatientProtocol,
            lifespan="on",
            ws="websockets-sansio",
            log_config=None,
            access_log=False,
            server_header=False,
            timeout_graceful_shutdown=_STOP_WITHIN_S,
        )
    )


def listen(settings: ServerSettings) -> socket.socket:
    """Return a socket that listens where ``settings`` say.

    Raises:
        ConfigInvalid: the address cannot be listened on.
    """
    # Asyncio turns Nagle's algorithm off only where the protocol is named; without that every
    # answer waits 40 ms for the client's acknowledgement.
    family = socket.AF_INET6 if ":" in settings.host else socket.AF_INET
    listener = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    try:
        if os.name == "posix":
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind((settings.host, settings.port))
        listener.listen(_BACKLOG)
    except (OSError, OverflowError) as error:
        listener.close()
        raise ConfigInvalid(
            f"cannot listen on {settings.host}:{settings.port}",
            why=getattr(error, "strerror", None) or str(error),
            hint="choose another --port, or 0 for any free one",
        ) from error
    return listener


def _await_start(
    server: uvicorn.Server, thread: threading.Thread, failures: list[BaseException]
) -> None:
    deadline = time.monotonic() + _START_WITHIN_S
    while not server.started:
        if not thread.is_alive() or time.monotonic() > deadline:
            cause = failures[0] if failures else None
            raise ConfigInvalid(
                "the server did not start",
                why=str(cause or "its log says why"),
                hint="holdfast doctor",
            ) from cause
        time.sleep(_POLL_S)
