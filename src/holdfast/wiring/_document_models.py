"""Docling's models: which ones the settings choose, and the one folder that is made of them.

Several repositories are brought and verified together, as one model: what is missing or wrong in
one is told before anything is loaded. The folder is laid out as docling looks for them, of links
where they work here.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

from holdfast.config import ServiceSettings, Settings
from holdfast.documents import (
    HERON,
    LAYOUT_FILES,
    OCR_FOLDER,
    TABLE_FILES,
    TABLE_FOLDER,
    ModelSet,
    Part,
    check_content,
    check_present,
    folder_of,
)
from holdfast.errors import ConfigInvalid
from holdfast.events import Reporter
from holdfast.places import Modes, SearchPath, Strategy, surroundings
from holdfast.refs import RepoRef, RevisionRef
from holdfast.runtime import Provided
from holdfast.store import Derivation, RepoFolder, derived, licence_of
from holdfast.store.materialise import materialise
from holdfast.wiring._licences import UNSTATED
from holdfast.wiring._named import NONE, named_model
from holdfast.wiring._provide import Provide, Verify
from holdfast.wiring._starter import DOCUMENTS_REPO

__all__ = ["ChosenModels", "ModelsTogether", "chosen_document_models"]

GEOMETRY = "geometry"
_LAYOUT_SETTING = "HOLDFAST_DOCUMENTS_LAYOUT_MODEL"
_TABLE_SETTING = "HOLDFAST_DOCUMENTS_TABLE_MODEL"
_TABLES_EXAMPLE = "docling-project/docling-models@v2.3.0"
_CARD = ("README.md", "LICENSE*")
_FILES: Mapping[str, Sequence[str]] = {"layout": LAYOUT_FILES, "tables": TABLE_FILES, "scans": ()}
_FOLDERS = {"tables": TABLE_FOLDER, "scans": OCR_FOLDER}
# What such a folder is, and how it is made: another way makes another folder.
_NAME, _MAKER = "docling-artifacts", "1"


class ChosenModels(NamedTuple):
    """The models that documents are read with.

    Attributes:
        layout: finds the regions of pages.
        tables: finds the cells of tables; None for rules.
    """

    layout: RevisionRef
    tables: RevisionRef | None = None

    @property
    def licence(self) -> str:
        """The layout model's, as far as it is known before it is here."""
        return "Apache-2.0" if str(self.layout.repo) == HERON else UNSTATED

    @property
    def files(self) -> dict[RepoRef, Sequence[str]]:
        """Which files are used of the repositories."""
        found: dict[RepoRef, Sequence[str]] = {self.layout.repo: (*LAYOUT_FILES, *_CARD)}
        if self.tables is not None:
            found[self.tables.repo] = (*TABLE_FILES, *_CARD)
        return found


def chosen_document_models(service: ServiceSettings) -> ChosenModels | None:
    """Return the models that the settings choose, or the profile; None for geometry.

    Raises:
        ConfigInvalid: what is named is no repository, or a table model has no layout model.
    """
    layout, tables = service.documents_layout_model, service.documents_table_model
    table_ref = None if tables in {None, NONE} else _named(_TABLE_SETTING, tables, _TABLES_EXAMPLE)
    if layout is None:
        layout = GEOMETRY if service.profile == "starter" else HERON
    if layout == GEOMETRY:
        if table_ref is not None:
            raise ConfigInvalid(
                f"the setting {_TABLE_SETTING}={tables!r} is for pages that a model has looked at",
                why="the layout by geometry finds its tables itself",
                hint=f"export {_LAYOUT_SETTING}={HERON}",
            )
        return None
    return ChosenModels(_named(_LAYOUT_SETTING, layout, HERON), table_ref)


def _named(setting: str, text: str | None, example: str) -> RevisionRef:
    named = named_model(setting, text or "", example)
    if named.folder:
        raise ConfigInvalid(
            f"the setting {setting}={text!r} names a folder",
            why="docling's models have repositories of their own",
            hint=f"export {setting}={example}",
        )  # fmt: skip
    return named.ref


class ModelsTogether:
    """Brings, verifies and assembles several repositories as one model.

    Args:
        settings: where models live.
        env: the environment's variables.
        chosen: the models.
    """

    def __init__(self, settings: Settings, env: Mapping[str, str], chosen: ChosenModels) -> None:
        self._settings = settings
        self._env = env
        self._chosen = chosen
        # As they were brought last, by what they are for; used by the one thread that brings them.
        self._parts: dict[str, _Brought] = {}

    def providing(self, one: Provide) -> Provide:
        """Return what brings all of them where the layout model is asked for, each by ``one``."""

        def provide(ref: RevisionRef, report: Reporter) -> Provided:
            if ref.repo != self._chosen.layout.repo:
                return one(ref, report)
            # What needs no network comes first, and what is largest last.
            wanted = {"scans": RevisionRef(DOCUMENTS_REPO)}
            if self._chosen.tables is not None:
                wanted["tables"] = self._chosen.tables
            wanted["layout"] = ref
            self._parts = {}
            for role, each in wanted.items():
                brought = one(each, report)
                check_present(str(each.repo), brought.folder, _FILES[role])
                self._parts[role] = _Brought(each.repo, brought)
            return replace(self._parts["layout"].provided, licence=self._licence())

        return provide

    def _licence(self) -> str:
        """Return what all their cards state."""
        parts = self._parts
        stated = [licence_of(parts["layout"].provided.folder) or self._chosen.licence]
        if "tables" in parts:
            stated.append(licence_of(parts["tables"].provided.folder) or UNSTATED)
        stated.append(licence_of(parts["scans"].provided.folder) or UNSTATED)
        return ", ".join({each.lower(): each for each in stated}.values())

    def verifying(self, one: Verify) -> Verify:
        """Return what verifies all of them where the layout model is to be, each by ``one``."""

        def verify(ref: RevisionRef, report: Reporter) -> None:
            if ref.repo != self._chosen.layout.repo:
                one(ref, report)
                return
            for part in self._parts.values():
                one(RevisionRef(part.repo, part.provided.revision), report)

        return verify

    def assemble(self, layout: Path) -> Path:
        """Return the folder of all, as docling wants it; it is made if it is not there.

        Args:
            layout: the folder of the layout model, which was brought with the others.

        Raises:
            EngineUnusable: a file cannot be what it is to be, though it is as it was published.
            StorageFailed: there is no place for the folder.
        """
        parts = self._parts
        for role, part in parts.items():
            check_content(str(part.repo), part.provided.folder, _FILES[role])
        home = SearchPath(self._settings, surroundings(self._env)).home
        home.make()
        held = ModelSet(**{role: part.described(role) for role, part in parts.items()})

        def make(_: Path, target: Path) -> None:
            for role, part in parts.items():
                _place(part, role, target, (*home.probe.links, "copy"), home.modes)
            held.write(target)

        what = Derivation(_NAME, f"{_MAKER} {json.dumps(held.to_dict())}", make)
        return derived(
            RepoFolder(home.hub, self._chosen.layout.repo), layout.name, layout, what, home.modes,
            proven=home.probe.lock == "proven",
        )  # fmt: skip


class _Brought(NamedTuple):
    """A repository that is here."""

    repo: RepoRef
    provided: Provided

    def described(self, role: str) -> Part:
        """Return what is to be known of it in the folder of all."""
        folder = _FOLDERS.get(role, folder_of(str(self.repo)))
        return Part(str(self.repo), self.provided.revision, folder)


def _place(
    part: _Brought, role: str, target: Path, ways: tuple[Strategy, ...], modes: Modes
) -> None:
    """Have a repository's files where docling looks for them."""
    folder = part.provided.folder
    if role == "scans":
        for path in sorted((folder / OCR_FOLDER).iterdir()):
            materialise(path.resolve(), target / OCR_FOLDER / path.name, ways, modes)
        return
    for name in _FILES[role]:
        placed = target / part.described(role).folder / name
        materialise((folder / name).resolve(), placed, ways, modes)
