"""What was found, kept in files: work that was interrupted goes on, and none is done twice.

While recordings are worked through, what is known of each goes into a file beside the scores, line
by line; a line that was cut off is not believed. The scores are written at the end, all at once,
and the file beside them goes: no embedding stays longer than it is needed.
"""

from __future__ import annotations

import base64
import json
import math
import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO, cast

import numpy as np

from holdfast.places import Modes, write_file
from holdfast.voiceprint._decide import SpoofVerdict
from holdfast.voiceprint.evaluation._forms import Trial
from holdfast.voiceprint.evaluation._trials import TrialsInvalid

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["Measured", "ScoreFile", "Scores", "WorkFile"]

_SCORES = "# holdfast scores 2 "
_WORK = "# holdfast work 1 "
_COLUMNS = "# label enrolled tested attack score detector detector_score"
_NONE = "-"
_SAID = {
    "model": "model",
    "detector": "detector",
    "cohort": "cohort",
    "list": "list of trials",
    "audio": "folder",
    "reading": "way to read recordings",
}
About = Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Measured:
    """What is known of one recording.

    Attributes:
        vector: shape (dimension,), float32; None where nothing is compared.
        spoof: what a detector said; None where none was asked.
    """

    vector: NDArray[np.float32] | None = None
    spoof: SpoofVerdict | None = None


@dataclass(slots=True)
class Scores:
    """The scores of a list's trials.

    Attributes:
        values: shape (trials,), float64; NaN where a trial has none.
        spoof: what a detector said of each tested recording, where one was asked.
    """

    values: NDArray[np.float64]
    spoof: dict[str, SpoofVerdict] = field(default_factory=dict)

    @classmethod
    def none(cls, trials: int) -> Scores:
        """Return the scores of a list that nothing is known of."""
        return cls(np.full(trials, np.nan))

    def pending(self) -> list[int]:
        """Return the indices of the trials without a score."""
        return [int(at) for at in np.flatnonzero(np.isnan(self.values))]

    def there(self) -> list[int]:
        """Return the indices of the trials with a score."""
        return [int(at) for at in np.flatnonzero(~np.isnan(self.values))]


class ScoreFile:
    """A file of scores: what they are of in its first line, then one trial a line.

    Args:
        path: the file, which need not be there.
    """

    def __init__(self, path: Path) -> None:
        self.path = path

    def check(self, about: About) -> None:
        """Compare the first line with what is to be scored.

        Args:
            about: what has to agree: ``model``, ``detector``, ``cohort``, ``list``, ``audio``,
                ``reading``.

        Raises:
            TrialsInvalid: they are scores of something else.
        """
        with _lines(self.path, _SCORES) as lines:
            if lines is not None:
                _check(self.path, next(lines), _SCORES, about)

    def read(self, trials: Sequence[Trial]) -> Scores:
        """Return the scores that are there; a last line that was cut is left out.

        Raises:
            TrialsInvalid: a line is none, or is of no trial of the list, in its order.
        """
        found = Scores.none(len(trials))
        at = 0
        with _lines(self.path, _SCORES) as lines:
            for number, line in enumerate(lines or (), 1):
                if line.startswith("#"):
                    continue
                try:
                    trial, value, spoof = _row(line)
                    while trials[at] != trial:
                        at += 1
                except (ValueError, IndexError) as error:
                    raise _damaged(self.path, number, line) from error
                found.values[at] = value
                if spoof is not None:
                    found.spoof[trials[at].test] = spoof
                at += 1
        return found

    def write(self, about: About, trials: Sequence[Trial], scores: Scores) -> None:
        """Write the scores that there are, all at once: the file has all of them, or is as before.

        Raises:
            TrialsInvalid: it cannot be written.
        """
        lines = [_SCORES + json.dumps(dict(about)), _COLUMNS]
        for trial, value in zip(trials, scores.values.tolist(), strict=True):
            if not math.isnan(value):
                said = scores.spoof.get(trial.test)
                columns = (
                    trial.label, trial.enrol, trial.test, trial.attack or _NONE, repr(value),
                    _NONE if said is None else said.decision,
                    _NONE if said is None or said.score is None else repr(said.score),
                )  # fmt: skip
                lines.append("\t".join(columns))
        try:
            write_file(self.path, ("\n".join(lines) + "\n").encode(), Modes())
        except OSError as error:
            raise _unwritable(self.path, error) from error


class WorkFile:
    """What is known of recordings so far, one a line.

    Args:
        path: the file, which need not be there.
        about: what it is of, as in `ScoreFile.check`.
    """

    def __init__(self, path: Path, about: About) -> None:
        self._path = path
        self._about = about
        self._stream: BinaryIO | None = None

    def read(self) -> dict[str, Measured]:
        """Return what is known, and be ready for more.

        Raises:
            TrialsInvalid: it is of something else, or cannot be read.
        """
        found: dict[str, Measured] = {}
        whole = 0
        with _lines(self._path, _WORK) as lines:
            for number, line in enumerate(lines or (), 1):
                whole += len(line.encode()) + 1
                if number == 1:
                    _check(self._path, line, _WORK, self._about)
                    continue
                try:
                    name, measured = _measured(line)
                except (ValueError, TypeError, KeyError) as error:
                    raise _damaged(self._path, number, line) from error
                found[name] = measured
        try:
            # Unbuffered and appended: a line is one write, whole or the last.
            # For its owner only: there are voices in it.
            handle = os.open(self._path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
            self._stream = os.fdopen(handle, "ab", buffering=0)
            self._stream.truncate(whole)
            if not whole:
                self._stream.write((_WORK + json.dumps(dict(self._about)) + "\n").encode())
        except OSError as error:
            raise _unwritable(self._path, error) from error
        return found

    def add(self, name: str, measured: Measured) -> None:
        """Keep what was found of a recording.

        Raises:
            TrialsInvalid: it cannot be written.
        """
        assert self._stream is not None
        vector, spoof = measured.vector, measured.spoof
        content = {
            "name": name,
            "vector": None if vector is None else _text(vector),
            "spoof": None if spoof is None else spoof.to_dict(),
        }
        try:
            self._stream.write((json.dumps(content) + "\n").encode())
        except OSError as error:
            raise _unwritable(self._path, error) from error

    def __enter__(self) -> WorkFile:
        return self

    def __exit__(self, *of: object) -> None:
        self.close()

    def close(self) -> None:
        """Let go of the file; what is in it stays."""
        if self._stream is not None:
            self._stream.close()

    def remove(self) -> None:
        """Remove the file: what it was for is done."""
        self.close()
        self._path.unlink(missing_ok=True)


@contextmanager
def _lines(path: Path, head: str) -> Iterator[Iterator[str] | None]:
    """Yield the whole lines of a file; None where there is no file, or nothing whole in it.

    Raises:
        TrialsInvalid: it cannot be read, or does not begin as such a file does.
    """
    try:
        stream = path.open("rb")
    except FileNotFoundError:
        yield None
        return
    except OSError as error:
        raise _unwritable(path, error) from error
    with stream:
        first = stream.readline()
        if not first.endswith(b"\n") and head.encode().startswith(first[: len(head)]):
            yield None
            return
        if not first.startswith(head.encode()):
            raise TrialsInvalid(
                f"{path} cannot be gone on with",
                why=f"it does not begin with {head.strip()!r}",
                hint="name another file with --scores",
            )
        stream.seek(0)
        yield _whole(path, stream)


def _whole(path: Path, stream: BinaryIO) -> Iterator[str]:
    for number, line in enumerate(stream, 1):
        if line.endswith(b"\n"):
            try:
                yield line[:-1].decode("utf-8")
            except UnicodeDecodeError as error:
                raise _damaged(path, number, repr(line)) from error


def _check(path: Path, line: str, head: str, about: About) -> None:
    try:
        has = cast("dict[str, Any]", json.loads(line.removeprefix(head)))
        wrong = [name for name, value in about.items() if has.get(name) != value]
    except (ValueError, AttributeError) as error:
        raise _damaged(path, 1, line) from error
    if wrong:
        name = wrong[0]
        raise TrialsInvalid(
            f"{path} is of another {_SAID[name]}",
            why=f"it says {has.get(name)!r}, and this is {about[name]!r}",
            hint="name another file with --scores",
        )


def _row(line: str) -> tuple[Trial, float, SpoofVerdict | None]:
    label, enrol, test, attack, value, decision, score = line.split("\t")
    if not math.isfinite(float(value)):
        raise ValueError(value)
    trial = Trial(label, enrol, test, "" if attack == _NONE else attack)
    if decision == _NONE:
        return trial, float(value), None
    return trial, float(value), _verdict(decision, None if score == _NONE else float(score))


def _measured(line: str) -> tuple[str, Measured]:
    content = json.loads(line)
    vector, said = content["vector"], content["spoof"]
    numbers = None
    if vector is not None:
        numbers = np.frombuffer(base64.b64decode(vector, validate=True), "<f4").astype(np.float32)
    spoof = None if said is None else _verdict(said["decision"], said["score"], said["model"])
    return str(content["name"]), Measured(numbers, spoof)


def _verdict(decision: str, score: float | None, model: str | None = None) -> SpoofVerdict:
    if decision not in {"bona_fide", "spoof", "not_evaluated"}:
        raise ValueError(decision)
    return SpoofVerdict(cast("Any", decision), score, model=model)


def _text(vector: NDArray[np.float32]) -> str:
    return base64.b64encode(np.asarray(vector, "<f4").tobytes()).decode("ascii")


def _damaged(path: Path, number: int, line: str) -> TrialsInvalid:
    return TrialsInvalid(
        f"{path} cannot be gone on with", why=f"line {number} is damaged: {line[:60]!r}",
        hint="name another file with --scores, or remove this one",
    )  # fmt: skip


def _unwritable(path: Path, error: OSError) -> TrialsInvalid:
    return TrialsInvalid(
        f"{path} cannot be used", why=error.strerror or str(error),
        hint="name another file with --scores",
    )  # fmt: skip
