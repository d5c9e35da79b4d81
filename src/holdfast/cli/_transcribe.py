"""The command that reads recordings."""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from holdfast.cli._context import Context, folder, render_error
from holdfast.cli._count import Count
from holdfast.cli._files import new_file
from holdfast.cli._readings import Readings
from holdfast.cli._running import running
from holdfast.cli._sources import Kind, found_sources, outputs, written_over
from holdfast.cli.service import await_ready, say_failures_once, services_for
from holdfast.errors import ConfigInvalid

if TYPE_CHECKING:
    from holdfast.media import Waveform
    from holdfast.runtime import ModelStatus
    from holdfast.speech import Transcript, VoiceNaming
    from holdfast.wiring import Services

__all__ = ["RECORDINGS", "add_transcribe"]

_FORMS = ("text", "srt", "vtt", "json", "verbose_json", "diarized_json")
# Of an output, and what is written into it where no form is said.
_BY_SUFFIX = {".txt": "text", ".srt": "srt", ".vtt": "vtt", ".json": "json"}
_SUFFIXES = {"text": "txt", "verbose_json": "json", "diarized_json": "json"}
_RATE_HZ = 16_000
RECORDINGS = Kind(
    "recording", "transcribe",
    frozenset({
        ".wav", ".w64", ".flac", ".ogg", ".oga", ".opus", ".mp3", ".mpga", ".mpeg", ".m4a", ".mp4",
        ".mov", ".aac", ".webm", ".mka", ".mkv", ".aiff", ".aif", ".amr", ".caf", ".au",
    }),
    frozenset(_BY_SUFFIX),
)  # fmt: skip


def add_transcribe(commands: Any) -> None:
    """Add the command to the parser."""
    read = commands.add_parser(
        "transcribe", help="read recordings: one to the terminal, several into files"
    )
    read.add_argument("files", nargs="+", metavar="FILE",
                      help="recordings, patterns such as '*.mp3', or folders")  # fmt: skip
    read.add_argument("-f", "--format", choices=_FORMS,
                      help="by the suffix of --output, else text")  # fmt: skip
    read.add_argument("-o", "--output", type=_named, metavar="PATH",
                      help="a file for one recording, a folder for several, - for the terminal; "
                      "else beside each of several")  # fmt: skip
    read.add_argument("--again", action="store_true",
                      help="read also what has been read already")  # fmt: skip
    read.add_argument("--language", default="", metavar="CODE", help="spoken language (found out)")
    read.add_argument("--translate", action="store_true", help="into English")
    read.add_argument("--prompt", default="", metavar="TEXT", help="names and style to expect")
    read.add_argument(
        "--words", action="store_true", help="times of words, in verbose_json and diarized_json"
    )
    read.add_argument("--speakers", action="store_true",
                      help="who speaks, by the enrolled voices")  # fmt: skip
    read.add_argument("--profile", metavar="NAME", help="starter (default), standard or gpu")
    read.set_defaults(run=_transcribe)


def _named(text: str) -> str:
    """Read a path that is not empty, which would mean the present folder."""
    folder(text)
    return text


@dataclass(frozen=True, slots=True)
class _Work:
    """A recording, and the file for what is read; None for the terminal."""

    source: Path
    target: Path | None


def _transcribe(args: argparse.Namespace, context: Context) -> int:
    from holdfast.wiring import STT_MODEL, VAD_MODEL, VOICE_MODEL

    output = None if args.output in (None, "-") else Path(args.output)
    form = _form(args, output)
    sources, wrong = found_sources(args.files, RECORDINGS)
    if wrong and not sources:
        raise wrong[0]
    targets: list[Path | None] = [None] * len(sources)
    if args.output != "-":
        targets = outputs(sources, args.files, output, _SUFFIXES.get(form, form), RECORDINGS)
    work = [_Work(*pair) for pair in zip((path for path, _ in sources), targets, strict=True)]
    service = context.service(profile=args.profile)
    only = (VAD_MODEL, STT_MODEL, *((VOICE_MODEL,) if args.speakers else ()))
    services = services_for(context, service, only=only)
    if services.reading is None:
        raise ConfigInvalid(
            "nothing here reads speech", why="no such model is mounted",
            hint="unset HOLDFAST_SPEECH_TRANSCRIPTION_MODEL",
        )  # fmt: skip
    # A file that a person names is written, whatever is in it; of a folder's some may be done.
    resumes = any(each.target not in (None, output) for each in work) and not args.again
    readings = _readings(args, form, services.supervisor.status(STT_MODEL))
    left, foreign = _left(work, readings, context) if resumes else (work, [])
    wrong += foreign
    for error in wrong:
        context.tell(render_error(error, as_json=context.json))
    code = wrong[0].exit_code if wrong else 0
    if not left:
        return code
    say_failures_once()
    with running(services):
        await_ready(services)
        model = services.supervisor.status(STT_MODEL)
        context.say(f"read by {model.repository}@{model.revision[:8]}")
        return _read_all(services, args, context, left, form, readings) or code


def _readings(args: argparse.Namespace, form: str, model: ModelStatus) -> Readings:
    return Readings(
        ".holdfast-transcripts.json",
        {
            "form": form,
            "language": args.language,
            "translate": args.translate,
            "prompt": args.prompt,
            "words": args.words,
            "speakers": args.speakers,
            "model": model.repository,
            "revision": model.revision,  # as it was asked for
        },
    )


def _left(
    work: Sequence[_Work], readings: Readings, context: Context
) -> tuple[list[_Work], list[ConfigInvalid]]:
    """Return what is still to be read, and what is wrong with the rest."""
    left, wrong, done = [], [], 0
    for each in work:
        if each.target is not None and readings.has(each.target, each.source):
            done += 1
        elif each.target is not None and readings.is_foreign(each.target):
            wrong.append(written_over(each.target))
        else:
            left.append(each)
    if done:
        context.say(f"{done} of {len(work)} are read already (--again: anew)")
    return left, wrong


def _form(args: argparse.Namespace, output: Path | None) -> str:
    form: str = args.format or _form_of(output)
    if args.speakers and form == "json" and args.format is None:
        form = "diarized_json"
    if args.speakers and form in ("json", "verbose_json"):
        raise ConfigInvalid(
            f"--speakers does not go with -f {form}", why="it has no place for them",
            hint="holdfast transcribe FILE -f diarized_json",
        )  # fmt: skip
    if args.words and form not in ("verbose_json", "diarized_json"):
        raise ConfigInvalid(
            "--words belongs to -f verbose_json or diarized_json", why=f"the format is {form}",
            hint="holdfast transcribe FILE -f verbose_json --words",
        )  # fmt: skip
    args.speakers = args.speakers or form == "diarized_json"
    return form


def _form_of(output: Path | None) -> str:
    """Return the form that a file's suffix says; text for a folder.

    Raises:
        ConfigInvalid: it says none.
    """
    if output is None or output.is_dir() or not output.suffix:
        return "text"
    form = _BY_SUFFIX.get(output.suffix.lower())
    if form is None:
        raise ConfigInvalid(
            f"{output} has no form that can be written", why=f"there are {', '.join(_BY_SUFFIX)}",
            hint="-o TEXT.txt, or -f FORMAT where it is a folder",
        )  # fmt: skip
    return form


def _read_all(
    services: Services,
    args: argparse.Namespace,
    context: Context,
    left: Sequence[_Work],
    form: str,
    readings: Readings,
) -> int:
    from holdfast.media import MediaError

    total = sum(_seconds(work.source) for work in left)
    code, several = 0, len(left) > 1
    with Count(context, "s of sound", total) as count:
        for work in left:
            begun = time.monotonic()
            try:
                found = _read(services, args, work.source, count)
            except MediaError as error:
                if not several:
                    raise
                code = code or error.exit_code
                context.tell(render_error(error, as_json=context.json))
                continue
            if work.target not in (None, Path(args.output or "")):
                # First of all: one that was cut off here is done again, and not taken for foreign.
                readings.note(work.target, work.source)
            _hand_over(context, work, _text(found, form, args), form)
            if work.target is not None:
                seconds = time.monotonic() - begun
                context.say(f"{work.source}: {found.duration_s:.0f} s read in {seconds:.1f} s")
    return code


def _seconds(path: Path) -> int:
    from holdfast.media import MediaError, probe_audio

    try:
        return round(probe_audio(path).duration_s or 0)
    except MediaError:
        return 0  # what is wrong with it is said when it is its turn


def _read(services: Services, args: argparse.Namespace, path: Path, count: Count) -> Transcript:
    from holdfast.media import audio_blocks
    from holdfast.runtime import carry_out
    from holdfast.speech import ReadingRequest, ReadOptions

    reading = services.reading
    assert reading is not None
    options = ReadOptions(
        task="translate" if args.translate else "transcribe", prompt=args.prompt, words=args.words
    )
    request = ReadingRequest(options=options, language=args.language)
    voices: VoiceNaming | None = None
    if args.speakers:
        voices = services.voiceprint.naming("command line")

    def counted() -> Iterator[Waveform]:
        for block in audio_blocks(path, longest_s=services.service.speech_longest_s):
            yield block
            count.step(round(len(block) / _RATE_HZ))

    return carry_out(reading.read(counted(), request, voices=voices))


def _text(found: Transcript, form: str, args: argparse.Namespace) -> str:
    from holdfast.speech import subtitles, transcript_json, with_speakers

    if form in ("srt", "vtt"):
        shown = with_speakers(found) if args.speakers else found
        return subtitles(shown, "srt" if form == "srt" else "vtt")
    if form == "text":
        if not args.speakers:
            return found.text + "\n"
        return "".join(f"{each.text}\n" for each in with_speakers(found).passages)
    granularities = ("segment", "word") if args.words else ("segment",)
    body = transcript_json(found, form, granularities)  # type: ignore[arg-type]
    return json.dumps(body, ensure_ascii=False, indent=2) + "\n"


def _hand_over(context: Context, work: _Work, text: str, form: str) -> None:
    if work.target is None:
        if context.json and not form.endswith("json"):
            context.result_json({"file": str(work.source), "text": text.rstrip("\n")})
        else:
            context.result(text.rstrip("\n"))
        return
    with new_file(work.target) as file:
        file.write(text.encode())
    if context.json:
        context.result_json_line({"file": str(work.source), "output": str(work.target)})
    else:
        context.result_path(work.target)
    context.out.flush()
