"""Commands of speech: vad, say, transcribe."""

from __future__ import annotations

import argparse
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

from holdfast.cli._context import Context
from holdfast.cli._running import running
from holdfast.cli._say import add_say
from holdfast.cli._transcribe import add_transcribe
from holdfast.cli.service import await_ready, say_failures_once, services_for
from holdfast.errors import ConfigInvalid

if TYPE_CHECKING:
    from holdfast.media import RawAudio
    from holdfast.speech import Segment, VadOptions

__all__ = ["add_commands"]


def add_commands(commands: Any) -> None:
    """Add this module's commands to the parser."""
    _add_vad(commands)

    add_say(commands)
    add_transcribe(commands)


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
    raw = None if args.raw is None else _raw(args.raw)
    services = services_for(context, context.service(), only=(VAD_MODEL,))
    say_failures_once()
    started = time.monotonic()
    with running(services):
        await_ready(services)
        loaded = time.monotonic()
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


def _raw(rate_hz: int) -> RawAudio:
    from holdfast.media import raw_of_text

    try:
        return raw_of_text(f"s16le:{rate_hz}")
    except ValueError as error:
        raise ConfigInvalid(
            f"--raw {rate_hz} cannot be used", why=str(error), hint="--raw 16000"
        ) from error


def _vad_options(args: argparse.Namespace) -> VadOptions:
    from holdfast.speech import VadOptions

    names = ("threshold", "neg_threshold", "min_speech_ms", "min_silence_ms", "speech_pad_ms",
             "max_speech_s")  # fmt: skip
    given = {name: getattr(args, name) for name in names}
    return VadOptions(**{name: value for name, value in given.items() if value is not None})


def _segments_json(found: list[Segment]) -> list[dict[str, int]]:
    return [{"start": segment.start_ms, "end": segment.stop_ms} for segment in found]
