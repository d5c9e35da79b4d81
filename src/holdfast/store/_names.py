"""Names in a listing that cannot exist, cannot coexist, or must not be used, found beforehand."""

from __future__ import annotations

import os
import shutil
import sys
import unicodedata
from collections import defaultdict
from collections.abc import Callable, Iterable
from pathlib import Path

from holdfast.places import Probe, can_hold, is_folder, temporary_name

__all__ = ["forbidden", "impossible"]

_PLAIN = frozenset("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-+=@,()[] ")
_RESERVED = {"CON", "PRN", "AUX", "NUL", *(f"{p}{n}" for p in ("COM", "LPT") for n in "123456789")}
_PATH_MAX = 4096 if sys.platform == "linux" else 1024
_WINDOWS_PATH_MAX = 32_000  # with the extended-length prefix, which Python adds nowhere by itself


def forbidden(path: str) -> str:
    """Return why a path must never be used, or "": it would leave the folder or is no path.

    Rules only: no I/O.
    """
    parts = path.split("/")
    if "\0" in path:
        return "it has a NUL byte"
    if path.startswith("/") or any(part in {"", ".", ".."} for part in parts):
        return "it would leave the folder, or is not in its plain form"
    # What is one name here can be a path there: neither separator nor drive may be smuggled in.
    if sys.platform == "win32" and ("\\" in path or ":" in parts[0][:2]):
        return "it would be read as another path on this system"
    try:
        path.encode("utf-8")
    except UnicodeEncodeError:
        return "it is not valid Unicode"
    return ""


def impossible(
    paths: Iterable[str], folder: Path, probe: Probe, reserved: tuple[str, ...] = ()
) -> list[tuple[str, str]]:
    """Return the paths that ``folder`` cannot hold, each with the reason; all of them at once.

    Unusual names are tried for real, in a folder of their own that is removed again. ``reserved``
    names what lies in the folder and is not the repository's to write.
    """
    listed = list(paths)
    found = [(path, why) for path in listed if (why := forbidden(path))]
    found += [(path, f"{r} is not a repository's to write") for path in listed
              for r in reserved if f"{path}/".casefold().startswith(f"{r}/")]  # fmt: skip
    bad = {path for path, _ in found}
    sound = [path for path in listed if path not in bad]
    found += _too_long(sound, folder)
    found += _collisions(sound, probe)
    found += _both_file_and_folder(sound)
    found += _refused_names(sound, folder, probe)
    return found


def _too_long(paths: list[str], folder: Path) -> list[tuple[str, str]]:
    limit = _WINDOWS_PATH_MAX if sys.platform == "win32" else _PATH_MAX - 1
    base = len(os.fsencode(folder)) + 1
    return [
        (path, f"with its folder it is longer than the {limit} bytes a path may have here")
        for path in paths
        if base + len(path.encode()) > limit
    ]


def _folding(probe: Probe) -> Callable[[str], str] | None:
    def fold(text: str) -> str:
        if probe.normalizes or not probe.case_sensitive:
            text = unicodedata.normalize("NFC", text)
        return text if probe.case_sensitive else unicodedata.normalize("NFC", text.casefold())

    return None if probe.case_sensitive and not probe.normalizes else fold


def _collisions(paths: list[str], probe: Probe) -> list[tuple[str, str]]:
    fold = _folding(probe)
    if fold is None:
        return []
    # Folders collide too: `Data/a` and `data/b` would end up in one folder. That loses nothing,
    # so only whole paths count.
    groups: dict[str, list[str]] = defaultdict(list)
    for path in paths:
        groups[fold(path)].append(path)
    return [
        (path, f"this file system cannot tell it from {_others(path, group)}")
        for group in groups.values()
        if len(group) > 1
        for path in group
    ]


def _others(path: str, group: list[str]) -> str:
    return ", ".join(repr(other) for other in group if other != path)


def _both_file_and_folder(paths: list[str]) -> list[tuple[str, str]]:
    files = set(paths)
    clashes = set()
    for path in paths:
        parts = path.split("/")
        for depth in range(1, len(parts)):
            if (parent := "/".join(parts[:depth])) in files:
                clashes.add(parent)
    return [(path, "it is a file and a folder at once") for path in sorted(clashes)]


def _unusual(name: str, probe: Probe) -> bool:
    return (
        not set(name) <= _PLAIN
        or name.endswith((".", " "))
        or name.startswith(" ")
        or len(name) > min(100, probe.name_max)
        or name.partition(".")[0].upper() in _RESERVED
    )


def _refused_names(paths: list[str], folder: Path, probe: Probe) -> list[tuple[str, str]]:
    names: dict[str, list[str]] = defaultdict(list)
    for path in paths:
        for name in path.split("/"):
            if _unusual(name, probe):
                names[name].append(path)
    if not names:
        return []
    nearest = folder
    while not is_folder(nearest):
        nearest = nearest.parent
    work = nearest / temporary_name(".holdfast-names")
    work.mkdir(0o700)
    try:
        refused = {name for name in names if not can_hold(work, name)}
    finally:
        shutil.rmtree(work, ignore_errors=True)
    return [
        (path, f"this file system cannot hold the name {name!r}")
        for name in sorted(refused)
        for path in dict.fromkeys(names[name])
    ]
