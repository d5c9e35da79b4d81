"""Which licences a model may have here, as the settings say."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from fnmatch import fnmatchcase

from holdfast.runtime import LicenceRefused, Provided

__all__ = ["UNSTATED", "check_licence", "with_licence"]

# What stands in a description where only the model itself can say.
UNSTATED = "see its model card"


def with_licence(provided: Provided) -> Provided:
    """Return a model on disk together with what its card states, unless that is known already."""
    from holdfast.store import licence_of

    if provided.licence is not None:
        return provided
    return replace(provided, licence=licence_of(provided.folder))


def check_licence(model: str, licence: str, allowed: Sequence[str]) -> None:
    """Say if a model may be used under its licence; where there is no list, all may.

    Args:
        model: its id.
        licence: what is stated, several separated by commas: each of them must be allowed.
        allowed: patterns as of `fnmatch`, in either case.

    Raises:
        LicenceRefused: it may not.
    """
    patterns = [pattern.lower() for pattern in allowed]
    stated = [part.strip().lower() for part in licence.split(",")]
    if not patterns or all(any(fnmatchcase(each, p) for p in patterns) for each in stated):
        return
    setting = f"HOLDFAST_ALLOW_LICENCES={','.join(allowed)}"
    if licence in {UNSTATED, ""}:
        raise LicenceRefused(
            f"{model} states no licence",
            why=f"its model card says none, and {setting} allows only what it names",
            hint="read its terms; HOLDFAST_ALLOW_LICENCES='*' allows models that state none",
            licence=None, setting="allow_licences",
        )  # fmt: skip
    raise LicenceRefused(
        f"{model} is under the licence {licence}",
        why=f"{setting} does not allow it",
        hint=f"if its terms suit you: HOLDFAST_ALLOW_LICENCES='{','.join([*allowed, licence])}'",
        licence=licence, setting="allow_licences",
    )  # fmt: skip
