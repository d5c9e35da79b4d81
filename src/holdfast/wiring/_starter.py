"""The starter set: what works without any hub, laid out of the packages that it travels in."""

from __future__ import annotations

import importlib.metadata
import importlib.util
import shutil
from collections.abc import Callable, Collection, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from holdfast.documents import OCR_FOLDER
from holdfast.errors import MissingExtra
from holdfast.refs import RepoRef
from holdfast.speech.engines._notices import (
    ESPEAK_README,
    LICENCE,
    README,
    SPHINX_LICENCE,
    SPHINX_README,
)
from holdfast.speech.engines.silero import MODEL_FILE
from holdfast.speech.engines.sphinx import ACOUSTIC, DICTIONARY, LANGUAGE_MODEL
from holdfast.voiceprint import starter_model

if TYPE_CHECKING:
    from holdfast.mirror import Repositories

__all__ = [
    "DOCUMENTS_REPO",
    "STARTER_REPOS",
    "STT_REPO",
    "TTS_REPO",
    "VAD_REPO",
    "VOICE_REPO",
    "starter_repositories",
]

VAD_REPO = RepoRef("holdfast/silero-vad")
# The names say wherever they appear what the models are good for.
VOICE_REPO = RepoRef("holdfast/voiceprint-demo-synthetic-voices-only")
STT_REPO = RepoRef("holdfast/pocketsphinx-en-us-low-accuracy")
TTS_REPO = RepoRef("holdfast/espeak-ng")
DOCUMENTS_REPO = RepoRef("holdfast/documents-layout-by-geometry")
_PACKAGE = "faster-whisper"
_DOCUMENTS_README = """\
---
license: apache-2.0
pipeline_tag: image-to-text
---
# Documents without a layout model

The layout of pages is found by rules over their geometry, so there is no model of it here. Scans
are read by PaddleOCR's models (https://github.com/PaddlePaddle/PaddleOCR, Apache-2.0), as they
travel inside rapidocr {version}; they are in the folder where docling looks for them.
"""


def starter_repositories(root: Path, only: Collection[RepoRef] | None = None) -> Repositories:
    """Lay the starter set out below ``root`` as repositories for a hub to serve.

    The same packages give the same revisions on every machine.

    Args:
        root: a folder.
        only: those that are wanted; all of them when None.

    Raises:
        MissingExtra: the packages that the models travel in, or the hub's, are not installed.
    """
    try:
        from holdfast.mirror import Repositories
    except ImportError as error:
        raise _missing("the starter set cannot be served", str(error.name), "starter") from error
    for repo, lay_out in _CONTENTS.items():
        if only is None or repo in only:
            folder = root / repo.id
            folder.mkdir(parents=True, exist_ok=True)
            lay_out(folder)
    return Repositories(root)


def _lay_out_silero(folder: Path) -> None:
    # With several versions of the model the last name is the newest.
    found = sorted(_package("faster_whisper").glob("assets/silero_vad*.onnx"))
    if not found:
        raise _missing("Silero's voice activity model is not here", _PACKAGE, "speech")
    shutil.copyfile(found[-1], folder / MODEL_FILE)
    package = f"{_PACKAGE} {importlib.metadata.version(_PACKAGE)}"
    about = README.format(model=found[-1].name, package=package)
    (folder / "README.md").write_bytes(about.encode())
    (folder / "LICENSE").write_bytes(LICENCE.encode())


def _lay_out_voice(folder: Path) -> None:
    shutil.copytree(starter_model(), folder, dirs_exist_ok=True)


def _lay_out_sphinx(folder: Path) -> None:
    model = _package("pocketsphinx") / "model/en-us"
    if not model.is_dir():
        raise _missing("a reader of English is not here", "pocketsphinx", "speech")
    shutil.copytree(model / ACOUSTIC, folder / ACOUSTIC, dirs_exist_ok=True)
    for name in (LANGUAGE_MODEL, DICTIONARY):
        shutil.copyfile(model / name, folder / name)
    about = SPHINX_README.format(version=importlib.metadata.version("pocketsphinx"))
    (folder / "README.md").write_bytes(about.encode())
    (folder / "LICENSE").write_bytes(SPHINX_LICENCE.encode())


def _lay_out_espeak(folder: Path) -> None:
    data = _package("espeakng_loader") / "espeak-ng-data"
    if not data.is_dir():
        raise MissingExtra(
            "a voice is not here", why="espeakng-loader is not installed",
            hint="pip install 'holdfast[espeak]' (GPL-3), or HOLDFAST_SPEECH_SYNTHESIS_MODEL=none",
        )  # fmt: skip
    shutil.copytree(data, folder / data.name, dirs_exist_ok=True)
    about = ESPEAK_README.format(version=importlib.metadata.version("espeakng-loader"))
    (folder / "README.md").write_bytes(about.encode())


def _lay_out_documents(folder: Path) -> None:
    found = sorted(_package("rapidocr").glob("models/*.onnx"))
    if not found:
        raise _missing("what reads scans is not here", "rapidocr", "documents")
    (folder / OCR_FOLDER).mkdir()
    for model in found:
        shutil.copyfile(model, folder / OCR_FOLDER / model.name)
    about = _DOCUMENTS_README.format(version=importlib.metadata.version("rapidocr"))
    (folder / "README.md").write_bytes(about.encode())


_CONTENTS: Mapping[RepoRef, Callable[[Path], None]] = {
    VAD_REPO: _lay_out_silero,
    VOICE_REPO: _lay_out_voice,
    STT_REPO: _lay_out_sphinx,
    TTS_REPO: _lay_out_espeak,
    DOCUMENTS_REPO: _lay_out_documents,
}


STARTER_REPOS = frozenset(_CONTENTS)


def _package(name: str) -> Path:
    """Return a package's folder without importing it; one that is not there where there is none."""
    spec = importlib.util.find_spec(name)
    places = list(spec.submodule_search_locations or ()) if spec else []
    return Path(places[0]) if places else Path(name)


def _missing(what: str, package: str, extra: str) -> MissingExtra:
    return MissingExtra(
        what, why=f"{package} is not installed", hint=f"pip install 'holdfast[{extra}]'"
    )
