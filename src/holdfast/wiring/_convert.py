"""Models in the form that they are loaded from, made once: see `holdfast.store.derived`."""

from __future__ import annotations

import logging
import shutil
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from holdfast.config import Settings
from holdfast.places import SearchPath, surroundings
from holdfast.refs import RepoRef
from holdfast.runtime import EngineUnusable, done_apart
from holdfast.voiceprint import FINGERPRINT_FILE, SCALE_FILE, fingerprint
from holdfast.wiring._named import NamedModel, below

if TYPE_CHECKING:
    from holdfast.store import Derivation

__all__ = ["converter", "reader_converter"]

_log = logging.getLogger(__name__)


def converter(settings: Settings, env: Mapping[str, str], repo: RepoRef) -> Callable[[Path], Path]:
    """Return what makes a graph of a speaker model's checkpoint."""

    def convert(folder: Path) -> Path:
        from holdfast.store import Derivation
        from holdfast.voiceprint.engines.ecapa import CONVERTER, GRAPH

        if (folder / GRAPH).is_file():
            return folder  # somebody has done it already
        return _derived(settings, env, repo, folder, Derivation("onnx", CONVERTER, _make_graph))

    return convert


def reader_converter(
    settings: Settings, env: Mapping[str, str], named: NamedModel
) -> Callable[[Path], Path]:
    """Return what makes a model for CTranslate2 of Transformers' Whisper."""

    def convert(folder: Path) -> Path:
        from holdfast.speech.engines.whisper import CONVERTER, WEIGHTS
        from holdfast.store import Derivation

        if (below(folder, named.folder) / WEIGHTS).is_file():
            return folder  # somebody has done it already
        made = f"{CONVERTER} {named.folder}".strip()

        def make(source: Path, target: Path) -> None:
            inner = below(target, named.folder)
            inner.mkdir(parents=True, exist_ok=True)
            done_apart(
                "the conversion to CTranslate2", _make_reader, below(source, named.folder), inner
            )

        what = Derivation("ctranslate2", made, make)
        try:
            return _derived(settings, env, named.ref.repo, folder, what)
        except EngineUnusable as error:
            # Transformers may know what its neighbour does not; it says itself where it does not.
            _log.warning(
                "%s is read by Transformers, more slowly and without times of words: %s",
                named.ref.repo, error,
            )  # fmt: skip
            return folder

    return convert


def _derived(
    settings: Settings, env: Mapping[str, str], repo: RepoRef, folder: Path, what: Derivation
) -> Path:
    from holdfast.store import RepoFolder, derived

    home = SearchPath(settings, surroundings(env)).home
    home.make()
    own = RepoFolder(home.hub, repo)
    proven = home.probe.lock == "proven"
    return derived(own, folder.name, folder, what, home.modes, proven=proven)


def _make_graph(source: Path, target: Path) -> None:
    # Torch takes seconds and the interpreter while it is imported, and a gigabyte for good.
    done_apart("the conversion to a graph", graph_of, source, target)


def graph_of(source: Path, target: Path) -> None:
    """Make a graph of a checkpoint, and what goes with it."""
    from holdfast.voiceprint.engines.ecapa import CHECKPOINT, convert_ecapa

    convert_ecapa(source, target)
    # The graph stands for the checkpoint: templates of the one are compared with the other's.
    (target / FINGERPRINT_FILE).write_text(fingerprint(source / CHECKPOINT), "ascii")
    if (source / SCALE_FILE).is_file():
        shutil.copyfile(source / SCALE_FILE, target / SCALE_FILE)


def _make_reader(source: Path, target: Path) -> None:
    from holdfast.speech.engines.whisper import convert_whisper

    convert_whisper(source, target)
