"""A cohort out of a folder: `holdfast voiceprint calibrate --cohort DIR`."""

from __future__ import annotations

import argparse
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from holdfast.cli._context import Context
from holdfast.cli._count import Count
from holdfast.cli._voices import recording
from holdfast.errors import HoldfastError

if TYPE_CHECKING:
    from holdfast.voiceprint import Cohort
    from holdfast.wiring import Services

__all__ = ["cohort_from"]

_SHOWN = 5


def cohort_from(
    args: argparse.Namespace, context: Context, services: Services, model: str
) -> Cohort:
    """Return the voices of a folder's people, as one vector each.

    Args:
        args: of the command; each folder in ``cohort`` is one person, and so is each recording
            that lies in no other.
        context: of the command.
        services: with their models loaded.
        model: fingerprint of the speaker model.

    Raises:
        CohortInvalid: there are too few people, or recordings that cannot be used.
    """
    from holdfast.runtime import carry_out
    from holdfast.voiceprint import FEWEST_IN_COHORT, Cohort, CohortInvalid, mean_voice

    folder: Path = args.cohort
    people = _people(folder)
    if len(people) < FEWEST_IN_COHORT:
        raise _too_few(folder, len(people), "are there")
    rows, wrong = [], []
    with Count(context, "voices of the cohort", len(people)) as count:
        for files in people.values():
            vectors = []
            for file in files:
                try:
                    examined = carry_out(services.voiceprint.examine(recording(file, args)))
                except HoldfastError as error:
                    if error.http_status not in {413, 415, 422}:
                        raise  # of the machine or the model, not of the recording
                    wrong.append(f"{file} ({error.code})")
                else:
                    if examined.vector is None:
                        wrong.append(f"{file} (nobody speaks in it)")
                    else:
                        vectors.append(examined.vector)
            if vectors:
                rows.append(mean_voice(vectors))
            count.step()
    if wrong and not args.skip_unusable:
        more = ", ..." if len(wrong) > _SHOWN else ""
        raise CohortInvalid(
            f"{len(wrong)} recordings of the cohort cannot be used",
            why=", ".join(wrong[:_SHOWN]) + more,
            hint="remove them, or --skip-unusable to leave them out",
        )
    if len(rows) < FEWEST_IN_COHORT:
        raise _too_few(folder, len(rows), "can be used")
    return Cohort.of(model, rows)


def _people(folder: Path) -> Mapping[str, Sequence[Path]]:
    from holdfast.voiceprint import CohortInvalid

    if not folder.is_dir():
        raise CohortInvalid(
            f"{folder} is no cohort", why="it is no folder",
            hint="--cohort DIR, with a folder of recordings for each person",
        )  # fmt: skip
    people: dict[str, list[Path]] = {}
    for path in sorted(folder.rglob("*")):
        if path.is_file() and not path.name.startswith("."):
            people.setdefault(path.relative_to(folder).parts[0], []).append(path)
    return people


def _too_few(folder: Path, count: int, what: str) -> HoldfastError:
    from holdfast.voiceprint import FEWEST_IN_COHORT, CohortInvalid

    return CohortInvalid(
        f"the cohort in {folder} is too small",
        why=f"{count} people {what}, and {FEWEST_IN_COHORT} are needed to say how strangers score",
        hint="--cohort DIR, with a folder of recordings for each of some hundred people",
    )
