"""An engine for processes of their own that does what a document's text says."""

from __future__ import annotations

import ctypes
import os
import signal
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from holdfast.documents import (
    Converted,
    ConvertOptions,
    DocumentDamaged,
    Progress,
    Status,
)
from holdfast.errors import MissingExtra

__all__ = ["load_nothing", "load_obedient"]


class Obedient:
    """Knows a few words: each is a line of a document."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def convert(
        self, name: str, content: bytes, options: ConvertOptions,
        told: Callable[[Progress], None],
    ) -> Converted:  # fmt: skip
        """Do what is written there, and write down that it was begun."""
        with (self._folder / "begun").open("a") as file:
            file.write(f"{name}\n")
        for line in content.decode().splitlines():
            word, _, number = line.partition(" ")
            if word == "pages":
                for page in range(int(number)):
                    told(Progress(page + 1, int(number)))
                    time.sleep(0.02)
            elif word == "die":
                os.kill(os.getpid(), signal.SIGKILL)
            elif word == "sleep":
                ctypes.CDLL(None).usleep(int(number) * 1_000_000)  # hears nothing meanwhile
            elif word == "hold":
                ctypes.PyDLL(None).usleep(int(number) * 1_000_000)  # and lets nobody else hear
            elif word == "eat":
                eaten = []
                for _ in range(int(number)):
                    eaten.append(bytearray(b"x" * 10_000_000))
                    time.sleep(0.02)
            elif word == "break":
                raise KeyError("nobody foresaw this")
            elif word == "refuse":
                raise DocumentDamaged(f"{name} is bad", why="it says so", hint="write another")
        return Converted(
            status=Status.SUCCESS, form="txt", outputs=dict.fromkeys(options.outputs, content)
        )

    def describe(self) -> Mapping[str, Any]:
        """Return who it is."""
        return {"forms": ["txt"], "pid": os.getpid()}

    def close(self) -> None:
        """There is nothing to give back."""


def load_obedient(folder: Path, device: str) -> Obedient:
    """Load it."""
    del device
    return Obedient(folder)


def load_nothing(folder: Path, device: str) -> Obedient:
    """Be something that is not installed."""
    del folder, device
    raise MissingExtra("there is no engine", why="it is not installed", hint="pip install it")
