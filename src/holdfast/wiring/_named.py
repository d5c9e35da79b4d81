"""Models that settings name: ``repository@revision#folder``."""

from __future__ import annotations

from pathlib import Path, PurePosixPath
from typing import NamedTuple

from holdfast.errors import ConfigInvalid, HoldfastError
from holdfast.refs import DEFAULT_REVISION, RepoRef, RevisionRef

__all__ = ["NONE", "NamedModel", "below", "named_model"]

NONE = "none"


class NamedModel(NamedTuple):
    """A model: where it comes from, and the folder in there that holds it; "" for all of it."""

    ref: RevisionRef
    folder: str = ""


def named_model(setting: str, text: str, example: str) -> NamedModel:
    """Return the model that a setting names.

    Args:
        setting: the variable, for the error.
        text: ``repository``, ``repository@revision``, ``repository#folder`` or all three.
        example: what it might be instead.

    Raises:
        ConfigInvalid: it names none.
    """
    named, _, folder = text.partition("#")
    repo, _, revision = named.partition("@")
    parts = PurePosixPath(folder).parts
    why, ref = "", None
    if PurePosixPath(folder).is_absolute() or ".." in parts or "\\" in folder:
        why = f"the folder {folder!r} leads out of it"
    try:
        ref = RevisionRef(RepoRef(repo), revision or DEFAULT_REVISION)
    except HoldfastError as error:
        why = error.why or error.what
    if why or ref is None:
        raise ConfigInvalid(
            f"the setting {setting}={text!r} names no model", why=why,
            hint=f"export {setting}={example}",
        )  # fmt: skip
    return NamedModel(ref, "/".join(parts))


def below(folder: Path, inner: str) -> Path:
    """Return the folder that holds a model, in what was fetched."""
    return folder / inner if inner else folder
