"""Commands of the applications, and of the hub: vad, serve-hub."""

from __future__ import annotations

import argparse
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from holdfast.cli._context import Context
from holdfast.cli.service import await_ready, extra, say_failures_once, services_for
from holdfast.errors import ConfigInvalid

if TYPE_CHECKING:
    from holdfast.mirror import RunningHub
    from holdfast.speech import Segment, VadOptions
    from holdfast.wiring import Services

__all__ = ["add_commands"]

_READY_WITHIN_S = 600.0
_ANSWER_WITHIN_S = 60.0


def add_commands(commands: Any) -> None:
    """Add this module's commands to the parser."""
    _add_vad(commands)

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
    from holdfast.wiring import VAD_MODEL

    options = _vad_options(args)
    file = args.file or sample_recording()
    if not file.is_file():
        raise ConfigInvalid(
            f"{file} is not a file",
            why="there is nothing to listen to",
            hint="holdfast vad RECORDING",
        )
    services = services_for(context, context.service(), only=(VAD_MODEL,))
    say_failures_once()
    started = time.monotonic()
    with _started(services):
        await_ready(services)
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


def _serve_hub(args: argparse.Namespace, context: Context) -> int:
    with extra("server"):
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


@contextmanager
def _started(services: Services) -> Iterator[None]:
    services.supervisor.start()
    try:
        yield
    finally:
        services.supervisor.close()


def _vad_options(args: argparse.Namespace) -> VadOptions:
    from holdfast.speech import VadOptions

    names = ("threshold", "neg_threshold", "min_speech_ms", "min_silence_ms", "speech_pad_ms",
             "max_speech_s")  # fmt: skip
    given = {name: getattr(args, name) for name in names}
    return VadOptions(**{name: value for name, value in given.items() if value is not None})


def _segments_json(found: list[Segment]) -> list[dict[str, int]]:
    return [{"start": segment.start_ms, "end": segment.stop_ms} for segment in found]
