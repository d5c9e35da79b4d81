"""What the commands about voiceprints share: models that are loaded, recordings that are there."""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from holdfast.cli._context import Context
from holdfast.cli.service import await_ready, extra, say_failures_once, services_for
from holdfast.errors import ConfigInvalid

if TYPE_CHECKING:
    from holdfast.wiring import Services

__all__ = ["kept", "loaded", "model_of", "recording"]


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


def recording(path: Path) -> Path:
    """Return a recording's path.

    Raises:
        ConfigInvalid: there is no such file.
    """
    if not path.is_file():
        raise ConfigInvalid(
            f"there is no recording {path}", why="it is no file", hint="give a recording's path"
        )
    return path
