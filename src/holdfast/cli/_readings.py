"""What was read already, and how it was asked for: so that a run goes on where it was cut off.

Beside what it writes into a folder the command keeps a file that says which recording each is of.
Without it a newer file of that name would pass for a transcript, whatever is in it.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from holdfast.cli._files import new_file

__all__ = ["Readings"]


class Readings:
    """What came of files, in folders.

    Args:
        name: of the file that says so, in each.
        asked: all that it depends on besides its source, as JSON-ready data.
    """

    def __init__(self, name: str, asked: Mapping[str, Any]) -> None:
        self._name = name
        self._asked = dict(asked)
        self._known: dict[Path, dict[str, Any]] = {}

    def has(self, target: Path, source: Path) -> bool:
        """Return whether it is there, made of this source as it is, and asked for alike."""
        return target.is_file() and self._of(target.parent).get(target.name) == self._about(source)

    def is_foreign(self, target: Path) -> bool:
        """Return whether something is there that was not written here."""
        return target.exists() and target.name not in self._of(target.parent)

    def note(self, target: Path, source: Path) -> None:
        """Keep that it was written.

        Raises:
            StorageFailed: it cannot be kept.
        """
        known = self._of(target.parent)
        known[target.name] = self._about(source)
        with new_file(target.parent / self._name) as file:
            file.write(json.dumps(known, indent=1).encode())

    def _of(self, folder: Path) -> dict[str, Any]:
        if folder not in self._known:
            try:
                found = json.loads((folder / self._name).read_bytes())
            except (OSError, ValueError):
                found = None  # there is none, or it is damaged: nothing is known then
            self._known[folder] = found if isinstance(found, dict) else {}
        return self._known[folder]

    def _about(self, source: Path) -> dict[str, Any]:
        there = source.stat()
        name = str(source.absolute()).encode(errors="backslashreplace").decode()
        recording = {"path": name, "bytes": there.st_size, "mtime_ns": there.st_mtime_ns}
        return {"recording": recording, "asked": self._asked}
