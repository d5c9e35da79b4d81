"""Commands of the service: up, status, check, test."""

from __future__ import annotations

import argparse
import logging
import threading
import time
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from holdfast.checks import worst
from holdfast.cli._context import Context
from holdfast.cli._logs import log_service
from holdfast.errors import ConfigInvalid, HoldfastError, MissingExtra
from holdfast.events import Event, Notice, Progress, size_text

if TYPE_CHECKING:
    from holdfast.cli._rounds import Line
    from holdfast.client import Model
    from holdfast.config import ServiceSettings
    from holdfast.doctor import Checkup
    from holdfast.server import RunningServer, ServerSettings
    from holdfast.wiring import Services

__all__ = ["add_commands", "await_ready", "extra", "say_failures_once", "services_for"]

_READY_WITHIN_S = 600.0
_ANSWER_WITHIN_S = 60.0
_SOON_S = 1.0


def add_commands(commands: Any) -> None:
    """Add this module's commands to the parser."""
    up = commands.add_parser("up", help="bring the models and serve them: health, speech")
    up.add_argument("--profile", metavar="NAME",
                    help="starter: no download (default); standard: from the Hub; gpu")  # fmt: skip
    up.add_argument("--host", help="address to listen on (127.0.0.1)")
    up.add_argument("--port", type=int, help="port to listen on, 0 for any (8000)")
    up.add_argument("--require-ready", action="store_true",
                    help="end with an error when a model that is preloaded fails")  # fmt: skip
    up.add_argument("--once", action="store_true",
                    help="answer about the recording that comes along, then end")  # fmt: skip
    up.set_defaults(run=_up)

    status = commands.add_parser("status", help="what a running service and its models are doing")
    status.add_argument("url", nargs="?", metavar="URL", help="where it is (this machine's)")
    status.set_defaults(run=_status)

    check = commands.add_parser("check", help="ask a running service everything, a line each")
    check.add_argument("url", metavar="URL", help="where it is")
    check.add_argument("--wait", type=float, default=60.0, metavar="S",
                       help="how long it may take to become ready (60)")  # fmt: skip
    check.set_defaults(run=_check)

    test = commands.add_parser(
        "test", help="bring, load and exercise every model on this machine, a line each"
    )
    test.add_argument("--profile", metavar="NAME", help="starter (default), standard or gpu")
    test.set_defaults(run=_test)


def _up(args: argparse.Namespace, context: Context) -> int:
    with extra("server"):
        from holdfast.server import ServerSettings, serve

    service = context.service(profile=args.profile, host=args.host, port=args.port)
    settings = ServerSettings.of(service)
    log_service(service.log_format, quiet=context.quiet, verbose=context.verbose)
    # What happens is in the log; only how far a download has come is shown besides.
    said = (Progress, Notice) if args.once else (Progress,)
    services = services_for(context, service, said)
    arguments = (context, services.checkup)
    doctor = threading.Thread(target=_tell_findings, args=arguments, daemon=True)
    doctor.start()
    if args.once:
        return _once(services, settings, context, doctor)

    def started(server: RunningServer) -> None:
        if context.json:
            context.result_json({"url": server.url})
        else:
            context.result(server.url)
        context.out.flush()
        arguments = (services, server, settings, context)
        threading.Thread(target=_announce, args=arguments, daemon=True).start()

    failed = serve(services, settings, started, require_ready=args.require_ready)
    if failed is not None:
        raise failed
    return 0


def _once(
    services: Services, settings: ServerSettings, context: Context, doctor: threading.Thread
) -> int:
    """Start, ask over HTTP as a client would, print the answer, and end."""
    from holdfast.client import Client
    from holdfast.server import running_server
    from holdfast.speech import sample_recording

    say_failures_once()
    with running_server(services, settings) as server:
        context.say(f"listening on {server.url}")
        await_ready(services)
        doctor.join(_ANSWER_WITHIN_S)
        with Client(server.url, key=settings.key) as client:
            found = client.find_speech(sample_recording())
    if context.json:
        segments = [{"start": one.start_ms, "end": one.stop_ms} for one in found]
        context.result_json({"url": server.url, "segments": segments})
        return 0
    for one in found:
        context.result(f"{one.start_ms / 1000:9.3f} - {one.stop_ms / 1000:9.3f} s")
    return 0


def _status(args: argparse.Namespace, context: Context) -> int:
    with extra("client"):
        from holdfast.client import Client

    service = context.service()
    url = args.url or f"http://127.0.0.1:{service.port}"
    with Client(url, key=service.api_key, timeout_s=10, patience_s=0) as client:
        health, ready, models = client.health(), client.ready(), client.models()
    if context.json:
        context.result_json(
            {
                "url": url,
                "version": health.version,
                "uptime_s": health.uptime_s,
                "ready": ready.ready,
                "message": ready.message,
                "models": [dict(model.raw) for model in models],
            }
        )
        return 0 if ready.ready else 1
    context.result(f"{url}  holdfast {health.version}, up for {health.uptime_s:.0f} s")
    context.result("ready" if ready.ready else f"not ready: {ready.message}")
    for model in models:
        context.result(f"  {model.id:<20} {model.state:<10} {_about(model)}")
    return 0 if ready.ready else 1


def _about(model: Model) -> str:
    revision = f"@{model.revision[:8]}" if model.revision else ""
    parts = [model.device, model.repository + revision]
    if model.progress is not None:
        left = model.progress.get("seconds_left")
        done, total = model.progress["bytes"], model.progress["bytes_total"]
        parts.append(f"{size_text(done)} of {size_text(total)}")
        parts += [] if left is None else [f"{left:.0f} s left"]
    if model.memory_mb is not None:
        parts.append(f"{model.memory_mb:.0f} MB")
    if model.error is not None:
        parts.append(f"{model.error['code']}: {model.error['message']}")
    return ", ".join(parts)


def _check(args: argparse.Namespace, context: Context) -> int:
    with extra("client"):
        from holdfast.cli._rounds import rounds
        from holdfast.client import Client
    from holdfast.speech import sample_recording

    key = context.service().api_key
    try:
        with Client(args.url, key=key, timeout_s=10, patience_s=0) as client:
            client.health()
    except HoldfastError as error:
        context.say(f"{error}; it is asked again for {args.wait:g} s")
    return _tell(context, rounds(args.url, key, sample_recording(), args.wait))


def _test(args: argparse.Namespace, context: Context) -> int:
    """Serve on a port of this machine for as long as asking everything takes."""
    with extra("starter"):
        from holdfast.cli._rounds import rounds
        from holdfast.server import ServerSettings, running_server
    from holdfast.speech import sample_recording

    service = context.service(profile=args.profile, host="127.0.0.1", port=0)
    settings = ServerSettings.of(service)
    services = services_for(context, service)
    say_failures_once()
    with running_server(services, settings) as server:
        _until_ready_or_failed(services)
        lines = rounds(server.url, settings.key, sample_recording(), wait_s=_SOON_S)
        return _tell(context, lines)


def _until_ready_or_failed(services: Services) -> None:
    """Do not wait for what has failed: a person is waiting."""
    deadline = time.monotonic() + _READY_WITHIN_S
    while not services.supervisor.wait_ready(0.1) and time.monotonic() < deadline:
        if services.supervisor.failure() is not None:
            return


def _tell(context: Context, lines: Iterator[Line]) -> int:
    told = []
    for line in lines:
        told.append(line)
        if not context.json:
            mark = "ok  " if line.passed else "FAIL"
            context.result(f"{mark}  {line.name:<28} {line.told}  ({1000 * line.seconds:.0f} ms)")
            context.out.flush()
    failed = sum(not line.passed for line in told)
    if context.json:
        context.result_json([line.to_dict() for line in told])
    else:
        context.say(f"{len(told) - failed} passed, {failed} failed")
    return 1 if failed else 0


def services_for(
    context: Context,
    service: ServiceSettings,
    said: tuple[type, ...] = (Progress, Notice),
    only: Collection[str] | None = None,
) -> Services:
    """Return what the settings' profile serves; nothing is started yet.

    ``said`` are the kinds of events that are shown; ``only`` the models that are wanted, or all.
    """
    from holdfast.wiring import configured_services

    def report(event: Event) -> None:
        if isinstance(event, said):
            context.reporter(event)

    return configured_services(context.settings, service, context.env, report, only)


def await_ready(services: Services) -> None:
    """Wait for the models; the first failure ends it, for a person is waiting.

    Raises:
        HoldfastError: why a model cannot be loaded.
    """
    deadline = time.monotonic() + _READY_WITHIN_S
    while not services.supervisor.wait_ready(0.1):
        failed = [status for status in services.supervisor.not_ready() if status.error]
        if failed or time.monotonic() > deadline:
            raise services.supervisor.failure() or ConfigInvalid(
                "the models were not ready in time",
                why=f"{_READY_WITHIN_S:.0f} s have passed",
                hint="holdfast doctor",
            )


def say_failures_once() -> None:
    """Leave failures of models to the command's own error."""
    logging.getLogger("holdfast.runtime").setLevel(logging.CRITICAL)


def _announce(
    services: Services, server: RunningServer, settings: ServerSettings, context: Context
) -> None:
    """Say when the models are ready, and give the first answer over HTTP."""
    from holdfast.client import Client
    from holdfast.speech import sample_recording

    if not services.supervisor.wait_ready(_READY_WITHIN_S):
        return  # the supervisor's log says why, and /ready too
    for model in services.supervisor.statuses():
        if model.load_s is not None:
            context.say(
                f"{model.id}: verified and loaded on {model.device} in {model.load_s:.2f} s"
            )
    recording = sample_recording()
    try:
        with Client(server.url, key=settings.key, patience_s=0) as client:
            found = client.find_speech(recording)
    except HoldfastError as error:
        context.say(f"the first question was not answered: {error}")
        return
    spoken = ", ".join(f"{one.start_ms / 1000:.2f}-{one.stop_ms / 1000:.2f} s" for one in found)
    context.say(f"first answer: speech in {recording.name} at {spoken}")
    context.say(f"yours: curl -F file=@RECORDING {server.url}/v1/audio/speech/timestamps")


def _tell_findings(context: Context, checkup: Checkup | None) -> None:
    """Say what the doctor finds, while the models are being brought."""
    findings = checkup.wait(_ANSWER_WITHIN_S) if checkup is not None else None
    if findings is None:
        return
    for finding in findings:
        if finding.severity in {"error", "warning"}:
            cure = f"    try: {finding.cure}" if finding.cure else ""
            context.say(f"doctor: {finding.severity}: {finding.message}{cure}")
    homes = [finding for finding in findings if finding.check in {"home", "links"}]
    for finding in homes:
        if finding.severity == "ok":
            context.say(f"doctor: {finding.message}")
    if worst(findings) not in {"error", "warning"}:
        context.say("doctor: nothing stands in the way")


@contextmanager
def extra(name: str) -> Iterator[None]:
    """Turn a library that is not installed into an error that says how to install it."""
    try:
        yield
    except ImportError as error:
        raise MissingExtra(
            "this command cannot run here",
            why=f"{error.name} is not installed",
            hint=f"pip install 'holdfast[{name}]'",
        ) from error
