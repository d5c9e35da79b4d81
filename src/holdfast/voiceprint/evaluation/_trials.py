"""Trial lists: which two recordings are compared, and whether they are of one speaker."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from holdfast.errors import HoldfastError

__all__ = ["ScoreFile", "Trial", "TrialsInvalid", "read_trials"]

_SHOWN = 5
_LABELS = {"1": "target", "0": "nontarget", "target": "target", "nontarget": "nontarget"}
_LABELS |= {"spoof": "spoof", "bonafide": "target"}


class TrialsInvalid(HoldfastError):
    """A list of trials, or of scores, that cannot be used."""

    code = "trials-invalid"
    exit_code = 2
    http_status = 422


class Trial(NamedTuple):
    """One comparison. ``label`` is ``target``, ``nontarget`` or ``spoof``; the others are files."""

    label: str
    enrol: str
    test: str


def read_trials(path: Path) -> list[Trial]:
    """Read a list in VoxCeleb's form: ``label enrol test`` in each line, the label 1 or 0.

    The label may be written out too, as ``target``, ``nontarget`` or ``spoof``.

    Raises:
        TrialsInvalid: lines that are none are all named, or there are no trials.
    """
    try:
        lines = path.read_text("utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise _invalid(path, str(error)) from error
    trials, wrong = [], []
    for number, line in enumerate(lines, 1):
        parts = line.split()
        if not parts or line.startswith("#"):
            continue
        label = _LABELS.get(parts[0].lower())
        if len(parts) != 3 or label is None:
            wrong.append(f"line {number}: {line[:60]!r}")
        else:
            trials.append(Trial(label, parts[1], parts[2]))
    if wrong:
        more = f", and {len(wrong) - _SHOWN} more" if len(wrong) > _SHOWN else ""
        raise _invalid(path, "; ".join(wrong[:_SHOWN]) + more)
    if not trials:
        raise _invalid(path, "it has no trials")
    return trials


@dataclass(frozen=True, slots=True)
class ScoreFile:
    """Scores as they are found, one line a trial: what was interrupted goes on where it stopped.

    Attributes:
        path: the file; its first line names the model, and another model's are not gone on with.
        model: fingerprint of the model.
    """

    path: Path
    model: str

    def read(self) -> dict[Trial, float]:
        """Return the scores that are there; a last line that was cut is left out.

        Raises:
            TrialsInvalid: they are another model's, or this is no file of scores.
        """
        try:
            text = self.path.read_text("utf-8")
        except FileNotFoundError:
            return {}
        except (OSError, UnicodeDecodeError) as error:
            raise _invalid(self.path, str(error)) from error
        head, _, body = text.partition("\n")
        if head != self._head():
            raise _invalid(
                self.path, f"its first line is {head[:60]!r}, and scores of this model begin with "
                f"{self._head()!r}",
            )  # fmt: skip
        scores = {}
        for line in body.split("\n")[:-1]:
            label, enrol, test, score = line.split("\t")
            scores[Trial(label, enrol, test)] = float(score)
        return scores

    def complete(
        self, trials: Sequence[Trial], score: Callable[[Trial], float]
    ) -> Iterable[tuple[Trial, float]]:
        """Yield every trial with its score; what is not there yet is scored and written down."""
        known = self.read()
        whole = self._head() + "\n" + "".join(_line(*item) for item in known.items())
        self.path.write_text(whole, "utf-8")  # without the line that was cut
        with self.path.open("a", encoding="utf-8") as file:
            for trial in trials:
                found = known.get(trial)
                if found is None:
                    found = score(trial)
                    file.write(_line(trial, found))
                    file.flush()
                yield trial, found

    def _head(self) -> str:
        return f"# holdfast scores of model {self.model}"


def _line(trial: Trial, score: float) -> str:
    return "\t".join((*trial, repr(score))) + "\n"


def _invalid(path: Path, why: str) -> TrialsInvalid:
    return TrialsInvalid(
        f"{path} cannot be used", why=why,
        hint="each line must be: 1 or 0, the enrolled recording, the tested recording",
    )  # fmt: skip
