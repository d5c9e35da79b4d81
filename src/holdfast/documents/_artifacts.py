"""A folder of docling's models, laid out as docling looks for them: what it has, what is wrong.

Little of a file is read, and nothing of it is loaded: this needs neither torch nor docling.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from holdfast.errors import EntryNotFound
from holdfast.runtime import EngineUnusable

__all__ = [
    "HERON",
    "LAYOUT_FILES",
    "SET_FILE",
    "TABLE_FILES",
    "TABLE_FOLDER",
    "ModelSet",
    "Part",
    "check_content",
    "check_present",
    "folder_of",
]

HERON = "docling-project/docling-layout-heron"
# Says which repositories an assembled folder is of, at which revisions.
SET_FILE = "holdfast-documents.json"
LAYOUT_FILES = ("config.json", "preprocessor_config.json", "model.safetensors")
_TABLES = "model_artifacts/tableformer/accurate"
TABLE_FILES = (f"{_TABLES}/tm_config.json", f"{_TABLES}/tableformer_accurate.safetensors")
# Docling looks for TableFormer there, wherever it came from.
TABLE_FOLDER = "docling-project--docling-models"
# Of the names and places of tensors; real ones have some ten kB.
_MOST_HEADER_BYTES = 100_000_000


class Part(NamedTuple):
    """A repository that a folder of models was assembled of.

    Attributes:
        repository: its name.
        revision: the commit.
        folder: where its files are, within the folder of all.
    """

    repository: str
    revision: str
    folder: str


class ModelSet(NamedTuple):
    """What a folder of models has.

    Attributes:
        layout: what finds the regions of pages.
        tables: what finds the cells of tables; None for rules.
        scans: what reads scans.
    """

    layout: Part
    tables: Part | None = None
    scans: Part | None = None

    def to_dict(self) -> dict[str, Any]:
        """Return it as JSON-ready data."""
        parts = self._asdict().items()
        return {name: part._asdict() if part is not None else None for name, part in parts}

    def write(self, folder: Path) -> None:
        """Note it in the folder."""
        (folder / SET_FILE).write_text(json.dumps(self.to_dict(), indent=1) + "\n", "utf-8")

    @classmethod
    def read(cls, folder: Path) -> ModelSet | None:
        """Return what a folder has; None where it has no model of layouts.

        A folder that docling's own tools have filled says nothing of revisions.
        """
        try:
            told = json.loads((folder / SET_FILE).read_bytes())
        except FileNotFoundError:
            if not (folder / folder_of(HERON)).is_dir():
                return None
            tables = Part("docling-project/docling-models", "", TABLE_FOLDER)
            has_tables = (folder / TABLE_FOLDER).is_dir()
            return cls(Part(HERON, "", folder_of(HERON)), tables if has_tables else None)
        parts = {name: Part(**part) for name, part in told.items() if part}
        return cls(**parts)


def folder_of(repository: str) -> str:
    """Return the name of the folder in which docling looks for a repository's files."""
    return repository.replace("/", "--")


def check_present(repository: str, folder: Path, files: Sequence[str]) -> None:
    """Say if files of a repository are not here.

    Args:
        repository: its name, for the error.
        folder: where its files are.
        files: that are needed of it.

    Raises:
        EntryNotFound: it has not all of them; each is named.
    """
    missing = [name for name in files if not (folder / name).is_file()]
    if missing:
        raise EntryNotFound(
            f"{repository} has no {', '.join(missing)}",
            why=f"docling needs {', '.join(files)} of it; looked for in {folder}",
            hint="choose another revision of it, as repository@revision",
            files=missing,
        )


def check_content(repository: str, folder: Path, files: Sequence[str]) -> None:
    """Say if files of a repository are not what their names say; see `check_present`.

    Raises:
        EngineUnusable: one cannot be what it is to be.
    """
    for name in files:
        if why := _wrong(folder / name):
            raise EngineUnusable(
                f"{name} of {repository} cannot be used", why=f"{why}: {folder / name}",
                hint="choose another revision of it, as repository@revision",
                files=[name],
            )  # fmt: skip


def _wrong(path: Path) -> str:
    """Return what is wrong with a file, or ""."""
    if path.suffix == ".json":
        return "" if isinstance(_json(path.read_bytes()), Mapping) else "it is no JSON object"
    return _cut(path) if path.suffix == ".safetensors" else ""


def _json(content: bytes) -> Any:
    try:
        return json.loads(content)
    except ValueError:
        return None


def _cut(path: Path) -> str:
    size = path.stat().st_size
    with path.open("rb") as file:
        length = int.from_bytes(file.read(8), "little")
        if not 2 <= length <= min(size - 8, _MOST_HEADER_BYTES):
            return "it is no safetensors file"
        header = _json(file.read(length))
    try:
        ends = [told["data_offsets"][1] for name, told in header.items() if name != "__metadata__"]
        promised = 8 + length + max(ends)
    except (AttributeError, KeyError, IndexError, TypeError, ValueError):
        return "it is no safetensors file"
    return "" if promised == size else f"it has {size} bytes where its header promises {promised}"
