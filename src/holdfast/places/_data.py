"""Where what must not be lost is kept: not in a cache, not in a temporary folder."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from pathlib import Path

from holdfast.errors import NoDataFolder
from holdfast.places._atomic import Modes, describe_error, make_folder, temporary_name
from holdfast.places._candidates import Surroundings

__all__ = ["data_folder"]

_NAME = "holdfast"


def data_folder(named: Path | None, around: Surroundings) -> Path:
    """Return a folder that can be written, made if need be, the first that works.

    The one that was named and no other; else a persistent volume, else the user's data folder.

    Raises:
        NoDataFolder: none works.
    """
    tried = []
    for source, path in [("HOLDFAST_DATA", named)] if named else _customary(around):
        assert path is not None
        try:
            _prove(path)
        except OSError as error:
            tried.append(f"{source} ({path}): {describe_error(error)}")
        else:
            return path
    raise NoDataFolder(
        "there is no folder to keep data in",
        why="; ".join(tried) or "there is no persistent volume, and this user has no home folder",
        hint="HOLDFAST_DATA=/a/folder/that/is/kept",
    )


def _prove(path: Path) -> None:
    make_folder(path, Modes())
    trial = path / temporary_name(_NAME)
    trial.write_bytes(b"")
    trial.unlink()


def _customary(around: Surroundings) -> Iterator[tuple[str, Path]]:
    if around.volume.is_dir() and os.access(around.volume, os.W_OK):
        yield "persistent volume", around.volume / _NAME
    env = around.env
    if sys.platform == "win32":
        if env.get("LOCALAPPDATA"):
            yield "LOCALAPPDATA", Path(env["LOCALAPPDATA"]) / _NAME
    elif Path(env.get("XDG_DATA_HOME", "")).is_absolute():
        yield "XDG_DATA_HOME", Path(env["XDG_DATA_HOME"]) / _NAME
    if around.user_home is not None:
        own = (
            ("Library", "Application Support") if sys.platform == "darwin" else (".local", "share")
        )
        yield "user data", around.user_home.joinpath(*own, _NAME)
