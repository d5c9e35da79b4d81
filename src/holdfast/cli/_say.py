"""The command that speaks."""

from __future__ import annotations

import argparse
import contextlib
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO

from holdfast.cli._context import Context
from holdfast.cli._files import new_file
from holdfast.cli._running import running
from holdfast.cli.service import await_ready, say_failures_once, services_for
from holdfast.errors import ConfigInvalid, HoldfastError

if TYPE_CHECKING:
    from holdfast.media import SoundEncoder, SoundForm, Waveform
    from holdfast.speech import Spoken
    from holdfast.wiring import Services

__all__ = ["PlayerFailed", "PlayerMissing", "add_say"]

# What plays a WAV file and ends with it, by what systems have.
_PLAYERS = (("paplay",), ("pw-play",), ("aplay", "-q"), ("afplay",),
            ("ffplay", "-loglevel", "error", "-nodisp", "-autoexit"))  # fmt: skip
_OTHER_SUFFIXES = {"ogg": "opus", "oga": "opus"}


class PlayerMissing(HoldfastError):
    """There is nothing that plays a recording."""

    code = "player-missing"
    exit_code = 1


class PlayerFailed(PlayerMissing):
    """What plays recordings does not play this one; there may be no device for it."""

    code = "player-failed"


def add_say(commands: Any) -> None:
    """Add the command to the parser."""
    say = commands.add_parser("say", help="speak a text, into a file or aloud")
    say.add_argument("text", nargs="?", help="what is said; - for standard input")
    say.add_argument("-o", "--output", metavar="FILE",
                     help="recording to write, its form by its suffix: wav, flac, mp3, opus, aac, "
                     "pcm; - for WAV on standard output")  # fmt: skip
    say.add_argument("--play", action="store_true", help="play it (also without --output)")
    say.add_argument("--voice", default="", metavar="ID", help="one of --voices")
    say.add_argument(
        "--speed",
        type=float,
        default=1.0,
        metavar="N",
        help="0.25 to 4 (1); espeak-ng goes no slower than 0.46",
    )
    say.add_argument("--voices", action="store_true", help="list the voices, and say nothing")
    say.add_argument("--profile", metavar="NAME", help="starter (default), standard or gpu")
    say.set_defaults(run=_say)


def _say(args: argparse.Namespace, context: Context) -> int:
    from holdfast.wiring import TTS_MODEL

    _check(args, context)
    text = "" if args.voices else _text(args.text)
    form = _form(args.output)
    player = _player() if args.play or (args.output is None and not args.voices) else None
    service = context.service(profile=args.profile)
    services = services_for(context, service, only=(TTS_MODEL,))
    say_failures_once()
    with running(services):
        await_ready(services)
        if args.voices:
            return _list_voices(services, context)
        with _target(args.output) as (file, path):
            spoken = _spoken(services, args, text, form, file)
        try:
            if player is not None:
                _play(player, path)
        finally:
            if args.output is None:
                path.unlink()
    _tell(services, context, args.output, spoken)
    return 0


def _check(args: argparse.Namespace, context: Context) -> None:
    hint = "holdfast say --help"
    if args.voices and (args.text is not None or args.output is not None or args.play):
        raise ConfigInvalid(
            "--voices says nothing", why="it only lists the voices; leave the rest out", hint=hint
        )
    if args.output == "-" and (args.play or context.json):
        raise ConfigInvalid(
            f"-o - does not go with {'--play' if args.play else '--json'}",
            why="standard output has the recording", hint="-o speech.wav",
        )  # fmt: skip


def _text(given: str | None) -> str:
    if given is not None and given != "-":
        return given
    if given is None and sys.stdin.isatty():
        raise ConfigInvalid(
            "there is nothing to say", why="no text was given",
            hint="holdfast say 'good morning' -o morning.wav",
        )  # fmt: skip
    return sys.stdin.buffer.read().decode("utf-8", "replace")


def _form(output: str | None) -> SoundForm:
    from holdfast.media import SOUND_FORMS

    if output in (None, "-"):
        return "wav"
    suffix = Path(str(output)).suffix.lower().removeprefix(".")
    wanted = _OTHER_SUFFIXES.get(suffix, suffix)
    for form in SOUND_FORMS:
        if form == wanted:
            return form
    raise ConfigInvalid(
        f"{output} has no form that can be written", why=f"there are {', '.join(SOUND_FORMS)}",
        hint="-o speech.wav",
    )  # fmt: skip


@contextlib.contextmanager
def _target(output: str | None) -> Iterator[tuple[BinaryIO, Path]]:
    """Yield the file to write, and where it will be: there whole, or not at all."""
    from holdfast.places import temporary_name

    if output == "-":
        yield sys.stdout.buffer, Path("-")
        sys.stdout.buffer.flush()
        return
    final = Path(output) if output else Path(tempfile.gettempdir()) / temporary_name("say.wav")
    with new_file(final) as file:
        yield file, final


def _spoken(
    services: Services, args: argparse.Namespace, text: str, form: SoundForm, file: BinaryIO
) -> Spoken:
    from holdfast.media import SoundEncoder
    from holdfast.runtime import carry_out
    from holdfast.speech import SpeakingRequest

    encoders: list[SoundEncoder] = []
    streamed = args.output == "-"

    def said(sound: Waveform, rate_hz: int) -> None:
        if not encoders:
            encoders.append(SoundEncoder(form, rate_hz, None if streamed else file))
        made = encoders[0].feed(sound)
        if streamed:
            file.write(made)
            file.flush()

    request = SpeakingRequest(text=text, voice=args.voice, speed=args.speed, most_characters=None)
    if services.speaking is None:
        raise ConfigInvalid(
            "nothing here speaks", why="no such model is mounted",
            hint="unset HOLDFAST_SPEECH_SYNTHESIS_MODEL",
        )  # fmt: skip
    spoken = carry_out(services.speaking.speak(request, said))
    rest = encoders[0].finish()
    if streamed:
        file.write(rest)
    return spoken


def _player() -> tuple[str, ...]:
    if sys.platform == "win32":
        return ()
    for player in _PLAYERS:
        if shutil.which(player[0]):
            return player
    raise PlayerMissing(
        "there is nothing here that plays a recording",
        why=f"none of {', '.join(player[0] for player in _PLAYERS)} is installed",
        hint="holdfast say TEXT -o speech.wav",
    )


def _play(player: tuple[str, ...], path: Path) -> None:
    if sys.platform == "win32":
        import winsound

        winsound.PlaySound(str(path), winsound.SND_FILENAME)
        return
    done = subprocess.run([*player, str(path)], capture_output=True, text=True, check=False)
    if done.returncode:
        told = (done.stderr or done.stdout).strip().splitlines()
        raise PlayerFailed(
            f"{player[0]} does not play it", why=told[-1] if told else f"code {done.returncode}",
            hint="holdfast say TEXT -o speech.wav",
        )  # fmt: skip


def _list_voices(services: Services, context: Context) -> int:
    (model,) = services.supervisor.statuses()
    voices = model.about.get("voices", [])
    if context.json:
        context.result_json({"model": model.repository, "voices": voices})
        return 0
    for voice in voices:
        context.result(f"{voice['id']:<20} {voice['language']}")
    return 0


def _tell(services: Services, context: Context, output: str | None, spoken: Spoken) -> None:
    (model,) = services.supervisor.statuses()
    where = f"{model.repository}@{model.revision[:8]}"
    if context.json:
        context.result_json(
            {
                "output": output,
                "seconds": round(spoken.seconds, 3),
                "sentences": spoken.sentences,
                "model": model.repository,
                "revision": model.revision,
                "licence": model.licence,
            }
        )
        return
    if output not in (None, "-"):
        context.result_path(Path(str(output)))
    context.say(f"{spoken.seconds:.1f} s of speech by {where} ({model.licence})")
