"""Commands of the applications: vad, up, serve-hub."""

from __future__ import annotations

import argparse
import logging
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from holdfast.checks import worst
from holdfast.cli._context import Context
from holdfast.cli._logs import log_service
from holdfast.errors import ConfigInvalid, HoldfastError, MissingExtra

if TYPE_CHECKING:
    from holdfast.config import ServiceSettings
    from holdfast.mirror import RunningHub
    from holdfast.server import RunningServer, ServerSettings
    from holdfast.speech import Segment, VadOptions
    from holdfast.wiring import Services

__all__ = ["add_commands"]

_READY_WITHIN_S = 600.0
_ANSWER_WITHIN_S = 60.0


def add_commands(commands: Any) -> None:
    """Add this module's commands to the parser."""
    _add_vad(commands)

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

    hub = commands.add_parser("serve-hub", help="serve a folder of repositories as a hub")
    hub.add_argument("folder", type=Path, metavar="DIR",
                     help="holds [datasets/|spaces/]OWNER/NAME/ folders")  # fmt: skip
    hub.add_argument("--host", default="127.0.0.1", help="address to listen on (127.0.0.1)")
    hub.add_argument("--port", type=int, default=8090, help="port to listen on, 0 for any (8090)")
    hub.add_argument("--storage-port", type=int, default=0,
                     help="port that large files come from (any)")  # fmt: skip
    hub.add_argument("--storage-url", default="", metavar="URL",
                     help="where another server has the large files, by digest")  # fmt: skip
    hub.set_defaults(run=_serve_hub)


def _add_vad(commands: Any) -> None:
    vad = commands.add_parser("vad", help="find where in a recording somebody speaks")
    vad.add_argument("file", type=Path, nargs="?", metavar="FILE",
                     help="a recording in any usual form (one that comes along)")  # fmt: skip
    vad.add_argument("--raw", type=int, metavar="HZ",
                     help="FILE holds bare 16-bit samples, mono, at this rate")  # fmt: skip
    for name, kind, text in (
        ("threshold", float, "a frame with this probability is speech (0.5)"),
        ("neg-threshold", float, "one below this is silence (threshold - 0.15)"),
        ("min-speech-ms", int, "drop shorter segments (250)"),
        ("min-silence-ms", int, "shorter pauses end no segment (100)"),
        ("speech-pad-ms", int, "added to both ends (30)"),
        ("max-speech-s", float, "cut longer segments (never)"),
    ):
        vad.add_argument(f"--{name}", type=kind, metavar="N", help=text)
    vad.set_defaults(run=_vad)


def _vad(args: argparse.Namespace, context: Context) -> int:
    from holdfast.media import RawAudio
    from holdfast.speech import sample_recording

    options = _vad_options(args)
    file = args.file or sample_recording()
    if not file.is_file():
        raise ConfigInvalid(
            f"{file} is not a file",
            why="there is nothing to listen to",
            hint="holdfast vad RECORDING",
        )
    services = _services(context, context.service())
    _say_failures_once()
    started = time.monotonic()
    with _started(services):
        _await_ready(services)
        loaded = time.monotonic()
        raw = RawAudio(args.raw) if args.raw is not None else None
        found = services.voice_activity.detect(file, options, raw)
        ended = time.monotonic()
        (model,) = services.supervisor.statuses()
    if context.json:
        context.result_json(
            {
                "file": str(file),
                "segments": _segments_json(found),
                "model": model.repository,
                "revision": model.revision,
                "load_s": round(loaded - started, 3),
                "detect_s": round(ended - loaded, 3),
            }
        )
        return 0
    for segment in found:
        context.result(f"{segment.start_ms / 1000:9.3f} - {segment.stop_ms / 1000:9.3f} s")
    where = f"{model.repository}@{model.revision[:8]}"
    context.say(
        f"{len(found)} segment(s) of speech in {file.name}; {where} was there after "
        f"{loaded - started:.2f} s and took {ended - loaded:.2f} s"
    )
    return 0


def _up(args: argparse.Namespace, context: Context) -> int:
    with _extra("server"):
        from holdfast.server import ServerSettings, serve

    service = context.service(profile=args.profile, host=args.host, port=args.port)
    settings = ServerSettings.of(service)
    log_service(service.log_format, quiet=context.quiet, verbose=context.verbose)
    services = _services(context, service)
    doctor = threading.Thread(target=_examine, args=(context,), name="holdfast-doctor", daemon=True)
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
    from holdfast.server import running_server
    from holdfast.speech import sample_recording

    _say_failures_once()
    with running_server(services, settings) as server:
        context.say(f"listening on {server.url}")
        _await_ready(services)
        doctor.join(_ANSWER_WITHIN_S)
        status, answer = _post_recording(server.url, sample_recording(), settings.key)
    if status != 200 or not answer:
        context.say(f"the server answered {status}: {answer}")
        return 1
    if context.json:
        context.result_json({"url": server.url, "segments": answer})
        return 0
    for segment in answer:
        context.result(f"{segment['start'] / 1000:9.3f} - {segment['end'] / 1000:9.3f} s")
    return 0


def _post_recording(url: str, recording: Path, key: str | None) -> tuple[int, Any]:
    import urllib3

    content = {"file": (recording.name, recording.read_bytes(), "audio/flac")}
    headers = {"Authorization": f"Bearer {key}"} if key else {}
    with urllib3.PoolManager(timeout=_ANSWER_WITHIN_S, retries=False) as pool:
        answer = pool.request(
            "POST", f"{url}/v1/audio/speech/timestamps", fields=content, headers=headers
        )
        return answer.status, answer.json()


def _serve_hub(args: argparse.Namespace, context: Context) -> int:
    with _extra("server"):
        from holdfast.mirror import HubSettings, Repositories, serve_hub

    if not args.folder.is_dir():
        raise ConfigInvalid(
            f"{args.folder} is not a folder",
            why="it has to hold OWNER/NAME folders",
            hint=f"mkdir -p {args.folder}/OWNER/NAME",
        )
    repositories = Repositories(args.folder)

    def started(hub: RunningHub) -> None:
        if context.json:
            context.result_json({"url": hub.url, "storage_url": hub.storage_url})
        else:
            context.result(hub.url)
        context.out.flush()
        names = ", ".join(str(repo) for repo in repositories.list()) or "no repository yet"
        context.say(f"serving {names}")
        context.say(f"a client:  HF_ENDPOINT={hub.url} hf download OWNER/NAME")

    serve_hub(
        repositories,
        HubSettings(storage_url=args.storage_url),
        host=args.host,
        port=args.port,
        storage_port=args.storage_port,
        on_start=started,
    )
    return 0


def _services(context: Context, service: ServiceSettings) -> Services:
    from holdfast.wiring import configured_services

    return configured_services(context.settings, service, context.env, context.reporter)


@contextmanager
def _started(services: Services) -> Iterator[None]:
    services.supervisor.start()
    try:
        yield
    finally:
        services.supervisor.close()


def _await_ready(services: Services) -> None:
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


def _say_failures_once() -> None:
    """Leave failures of models to the command's own error."""
    logging.getLogger("holdfast.runtime").setLevel(logging.ERROR)


def _announce(
    services: Services, server: RunningServer, settings: ServerSettings, context: Context
) -> None:
    """Say when the models are ready, and give the first answer over HTTP."""
    from holdfast.speech import sample_recording

    if not services.supervisor.wait_ready(_READY_WITHIN_S):
        return  # the supervisor's log says why, and /ready too
    for model in services.supervisor.statuses():
        context.say(f"{model.id}: verified and loaded on {model.device} in {model.load_s:.2f} s")
    recording = sample_recording()
    status, answer = _post_recording(server.url, recording, settings.key)
    spoken = [f"{part['start'] / 1000:.2f}-{part['end'] / 1000:.2f} s" for part in answer]
    context.say(f"first answer ({status}): speech in {recording.name} at {', '.join(spoken)}")
    context.say(f"yours: curl -F file=@RECORDING {server.url}/v1/audio/speech/timestamps")


def _examine(context: Context) -> None:
    """Say what the doctor finds, while the models are being brought."""
    from holdfast.doctor import examine

    try:
        # The starter set needs no network, so nothing is to be said about it.
        findings = examine(context.settings._replace(offline=True), context.env)
    except HoldfastError as error:
        context.say(f"doctor: {error}")
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


def _vad_options(args: argparse.Namespace) -> VadOptions:
    from holdfast.speech import VadOptions

    names = ("threshold", "neg_threshold", "min_speech_ms", "min_silence_ms", "speech_pad_ms",
             "max_speech_s")  # fmt: skip
    given = {name: getattr(args, name) for name in names}
    return VadOptions(**{name: value for name, value in given.items() if value is not None})


def _segments_json(found: list[Segment]) -> list[dict[str, int]]:
    return [{"start": segment.start_ms, "end": segment.stop_ms} for segment in found]


@contextmanager
def _extra(name: str) -> Iterator[None]:
    """Turn a library that is not installed into an error that says how to install it."""
    try:
        yield
    except ImportError as error:
        raise MissingExtra(
            "this command cannot run here",
            why=f"{error.name} is not installed",
            hint=f"pip install 'holdfast[{name}]'",
        ) from error
