"""Lists of trials in files: which recordings are compared, and whether they are of one speaker."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import BinaryIO

from holdfast.errors import HoldfastError
from holdfast.voiceprint.evaluation._forms import (
    FORMS,
    Form,
    LinesInvalid,
    Trial,
    enrolment_of,
    parse,
)

__all__ = ["DetectorMissing", "RecordingsUnusable", "TrialList", "TrialsInvalid", "read_trials"]

_SHOWN = 5


class TrialsInvalid(HoldfastError):
    """A list of trials, or of scores, that cannot be used."""

    code = "trials-invalid"
    exit_code = 2
    http_status = 422


class RecordingsUnusable(HoldfastError):
    """Recordings of a list of trials that are not there, or that cannot be compared."""

    code = "recordings-unusable"
    exit_code = 9
    http_status = 422


class DetectorMissing(HoldfastError):
    """A list that rates a detector of attacks, where none is mounted."""

    code = "detector-missing"
    exit_code = 2
    http_status = 503


@dataclass(frozen=True, slots=True)
class TrialList:
    """A list that was read.

    Attributes:
        path: the file.
        form: of its lines.
        trials: in their order.
        digest: sha256 of the list's content, and of the enrolment lists' behind it; hexadecimal.
        models: the recordings that each model is enrolled with; empty where recordings are
            compared with each other.
    """

    path: Path
    form: Form
    trials: Sequence[Trial]
    digest: str
    models: Mapping[str, tuple[str, ...]] = field(default_factory=dict)

    def enrolled(self, name: str) -> tuple[str, ...]:
        """Return the recordings behind what a trial compares with."""
        return self.models[name] if self.form.models else (name,)

    def recordings(self, trials: Sequence[Trial] | None = None) -> list[str]:
        """Return every recording that trials (all, when None) need, once, in their order."""
        needed: dict[str, None] = {}
        for trial in self.trials if trials is None else trials:
            if not self.form.detector:
                needed.update(dict.fromkeys(self.enrolled(trial.enrol)))
            needed[trial.test] = None
        return list(needed)


def read_trials(path: Path, form: str | None = None, enrolment: Sequence[Path] = ()) -> TrialList:
    """Read a list of trials.

    Args:
        path: the list.
        form: its name in `FORMS`; recognised by the lines when None.
        enrolment: lists of what models are enrolled with, which some forms need.

    Raises:
        TrialsInvalid: a file cannot be read, a line is not of the form (the first is named), or a
            model has no recordings.
    """
    digest = hashlib.sha256()
    wanted = FORMS[form] if form is not None else None
    try:
        with path.open("rb") as stream:
            found = parse(_lines(stream, digest), wanted)
    except (OSError, UnicodeDecodeError, LinesInvalid) as error:
        raise _invalid(path, _why(error), wanted) from error
    models = _models(path, found.form, enrolment, digest)
    if found.form.models:
        lacking = sorted({trial.enrol for trial in found.trials} - set(models))
        if lacking:
            more = f" and {len(lacking) - _SHOWN} more" if len(lacking) > _SHOWN else ""
            raise TrialsInvalid(
                f"{path} cannot be used",
                why=f"nothing says what is enrolled for {', '.join(lacking[:_SHOWN])}{more}",
                hint="--enrolment FILE, with lines of: MODEL FILE,FILE,...",
            )
    return TrialList(path, found.form, found.trials, digest.hexdigest(), models)


def _models(
    path: Path, form: Form, enrolment: Sequence[Path], digest: hashlib._Hash
) -> dict[str, tuple[str, ...]]:
    if enrolment and not form.models:
        raise TrialsInvalid(
            f"{path} has no models that are enrolled",
            why=f"its form is {form.name}: {form.shape}",
            hint="leave --enrolment out",
        )
    models: dict[str, tuple[str, ...]] = {}
    for each in enrolment:
        try:
            with each.open("rb") as stream:
                found = enrolment_of(_lines(stream, digest))
        except (OSError, UnicodeDecodeError, LinesInvalid) as error:
            raise TrialsInvalid(
                f"{each} cannot be used", why=_why(error),
                hint="each line must be: MODEL FILE,FILE,...",
            ) from error  # fmt: skip
        twice = sorted(set(found) & set(models))
        if twice:
            raise TrialsInvalid(
                f"{each} cannot be used", why=f"{twice[0]} is in another enrolment list too",
                hint="name each model in one list",
            )  # fmt: skip
        models |= found
    return models


def _lines(stream: BinaryIO, digest: hashlib._Hash) -> Iterator[str]:
    for line in stream:
        digest.update(line)
        yield line.decode("utf-8")


def _why(error: Exception) -> str:
    return error.strerror or str(error) if isinstance(error, OSError) else str(error)


def _invalid(path: Path, why: str, form: Form | None) -> TrialsInvalid:
    if form is not None:
        hint = f"each line must be: {form.shape}; or leave --form out"
    else:
        hint = f"each line must be: {FORMS['voxceleb'].shape}; or in a form of {', '.join(FORMS)}"
    return TrialsInvalid(f"{path} cannot be used", why=why, hint=hint)
