"""What the commands about voiceprints share: models that are loaded, recordings that are there."""

from __future__ import annotations

import argparse
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from holdfast.cli._context import Context
from holdfast.cli.service import await_ready, extra, say_failures_once, services_for
from holdfast.errors import ConfigInvalid

if TYPE_CHECKING:
    from holdfast.media import RawAudio, Recording
    from holdfast.wiring import Services

__all__ = ["add_audio_options", "caller", "kept", "loaded", "model_of", "recording"]


@contextmanager
def loaded(args: argparse.Namespace, context: Context) -> Iterator[Services]:
    """Yield the services with their models loaded."""
    with extra("starter"):
        from holdfast.wiring import SPOOF_MODEL, VAD_MODEL, VOICE_MODEL

        wanted = (VAD_MODEL, VOICE_MODEL, SPOOF_MODEL)
        services = services_for(context, context.service(profile=args.profile), only=wanted)
    say_failures_once()
    services.supervisor.start()
    try:
        await_ready(services)
        yield services
    finally:
        services.supervisor.close()
        services.voices.close()


@contextmanager
def kept(args: argparse.Namespace, context: Context) -> Iterator[Services]:
    """Yield the services; the enrolled voices need no model."""
    with extra("starter"):
        services = services_for(context, context.service(profile=args.profile))
    try:
        yield services
    finally:
        services.voices.close()


def model_of(voice: Any) -> str:
    """Return the loaded model's fingerprint; done where the model is."""
    model: str = voice.scale.model
    return model


def add_audio_options(parser: Any) -> None:
    """Add how recordings are read to a command's parser."""
    parser.add_argument("--channel", type=_channel, metavar="N",
                        help="hear only this channel, counted from 0 (all, averaged)")  # fmt: skip
    parser.add_argument("--pcm", type=_pcm, metavar="FORM",
                        help="bare samples, no header: s16le:16000:1, f32le:48000:2")  # fmt: skip


def _channel(text: str) -> int:
    if not text.isascii() or not text.isdecimal():
        raise argparse.ArgumentTypeError("a channel is a whole number, counted from 0")
    return int(text)


def _pcm(text: str) -> RawAudio:
    from holdfast.media import raw_of_text

    try:
        return raw_of_text(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from error


def recording(path: Path, args: argparse.Namespace) -> Recording:
    """Return a recording, read as the command line says.

    Raises:
        ConfigInvalid: there is no such file.
    """
    from holdfast.media import Recording

    try:
        there, why = path.is_file(), "it is no file"
    except OSError as error:  # a name that is too long, a folder that may not be looked into
        there, why = False, error.strerror or str(error)
    if not there:
        raise ConfigInvalid(
            f"there is no recording {path}", why=why, hint="give a recording's path"
        )
    return Recording(path, args.pcm, args.channel)


def caller() -> str:
    """Return what the audit log says of who asked."""
    name = os.environ.get("USER") or os.environ.get("USERNAME") or ""
    return f"command line of {name or 'a user without a name'}"
