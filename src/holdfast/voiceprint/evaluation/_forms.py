"""The forms that lists of trials are published in, told apart by their lines.

Rules only; nothing here does I/O. Columns are separated by white space in all of them:

- VoxCeleb (``veri_test2.txt``): ``LABEL ENROLLED TESTED``, the label 1 or 0. It may be written out,
  and ``spoof`` stands for an attack.
- ASVspoof 2019, countermeasure (``ASVspoof2019.LA.cm.*.trl.txt``):
  ``SPEAKER FILE - ATTACK bonafide|spoof``.
- ASVspoof 2019, speaker verification (``ASVspoof2019.LA.asv.*.trl.txt``):
  ``MODEL FILE ATTACK|bonafide target|nontarget|spoof``. Models are enrolled with several files,
  which ``*.trn.txt`` names: ``MODEL FILE,FILE,...``.
- ASVspoof 2021, countermeasure keys (``CM/trial_metadata.txt``), 8 columns, or 13 for the task DF:
  ``SPEAKER FILE CODEC TRANSMISSION ATTACK bonafide|spoof TRIM SUBSET``.
- ASVspoof 5 (README.txt beside its protocols, Zenodo record 14498691; separated by spaces in spite
  of the name .tsv). Track 1:
  ``SPEAKER FILE GENDER CODEC CODEC_Q CODEC_SEED ATTACK_TAG ATTACK bonafide|spoof -``; track 2:
  ``MODEL FILE GENDER ATTACK target|nontarget|spoof``, with ``*.enroll.tsv``:
  ``MODEL FILE,FILE,...``.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

__all__ = ["FORMS", "Form", "LinesInvalid", "Parsed", "Trial", "enrolment_of", "parse"]

_SHOWN = 60
_GENDERS = frozenset({"F", "M"})
_VERIFICATION = {"target": "target", "nontarget": "nontarget", "spoof": "spoof"}
_DETECTION = {"bonafide": "bonafide", "spoof": "spoof"}
_VOXCELEB = {"1": "target", "0": "nontarget", "bonafide": "target", **_VERIFICATION}


class LinesInvalid(ValueError):
    """Lines that are of no form, of another than was said, or none at all."""


class Trial(NamedTuple):
    """One line of a list.

    Attributes:
        label: ``target``, ``nontarget`` or ``spoof``; in lists for detectors ``bonafide`` or
            ``spoof``.
        enrol: what is compared with: a recording, or a model that several were enrolled for. In
            lists for detectors the speaker.
        test: the tested recording.
        attack: what an attack was made with; "" where there is none, or it is not said.
    """

    label: str
    enrol: str
    test: str
    attack: str = ""


@dataclass(frozen=True, slots=True)
class Form:
    """Where a line has what.

    Attributes:
        name: what ``--form`` calls it.
        shape: of a line, for people.
        widths: how many columns a line may have.
        key: column of the label.
        labels: what stands there, and what it means.
        enrol: column of what is compared with.
        test: column of the tested recording.
        attack: column of the attack's name; None where there is none.
        gendered: whether the third column is a gender; None where it does not matter.
        models: whether ``enrol`` names a model, whose recordings an enrolment list has.
        detector: whether a detector of attacks is rated, and no speaker compared.
    """

    name: str
    shape: str
    widths: tuple[int, ...]
    key: int
    labels: Mapping[str, str]
    enrol: int = 0
    test: int = 1
    attack: int | None = None
    gendered: bool | None = None
    models: bool = False
    detector: bool = False

    def trial(self, parts: Sequence[str]) -> Trial | None:
        """Return the trial of a line's columns; None where the line is not of this form."""
        if len(parts) not in self.widths:
            return None
        label = self.labels.get(parts[self.key].lower())
        other = self.gendered is not None and (parts[2] in _GENDERS) != self.gendered
        if label is None or other:
            return None
        attack = parts[self.attack] if self.attack is not None and label == "spoof" else ""
        return Trial(label, parts[self.enrol], parts[self.test], "" if attack == "-" else attack)


FORMS: Mapping[str, Form] = {
    form.name: form
    for form in (
        Form("voxceleb", "1 or 0, the enrolled recording, the tested recording", (3,), 0,
             _VOXCELEB, enrol=1, test=2),
        Form("asvspoof2019-cm", "SPEAKER FILE - ATTACK bonafide|spoof", (5,), 4, _DETECTION,
             attack=3, gendered=False, detector=True),
        Form("asvspoof2019-asv", "MODEL FILE ATTACK target|nontarget|spoof", (4,), 3,
             _VERIFICATION, attack=2, models=True),
        Form("asvspoof2021-cm", "SPEAKER FILE CODEC TRANSMISSION ATTACK bonafide|spoof TRIM SUBSET",
             (8, 13), 5, _DETECTION, attack=4, detector=True),
        Form("asvspoof5-cm", "SPEAKER FILE GENDER CODEC Q SEED TAG ATTACK bonafide|spoof -",
             (10,), 8, _DETECTION, attack=7, gendered=True, detector=True),
        Form("asvspoof5-asv", "MODEL FILE GENDER ATTACK target|nontarget|spoof", (5,), 4,
             _VERIFICATION, attack=3, gendered=True, models=True),
    )
}  # fmt: skip


class Parsed(NamedTuple):
    """The trials of a list, and the form that its lines have."""

    form: Form
    trials: list[Trial]


def parse(lines: Iterable[str], form: Form | None = None) -> Parsed:
    """Read a list; empty lines, and those that begin with ``#``, are left out.

    Each name is kept once, however many trials it is in: a million trials take some 150 MB.

    Args:
        lines: of the list.
        form: what it is in; the one that fits all lines when None.

    Raises:
        LinesInvalid: the first line that does not fit is named, or there is no trial.
    """
    names: dict[str, str] = {}
    trials: list[Trial] = []
    for number, parts in _columns(lines):
        if form is None:
            # The first line decides: no line is of two forms.
            form = next((each for each in FORMS.values() if each.trial(parts)), None)
        trial = form.trial(parts) if form is not None else None
        if trial is None:
            wanted = form.shape if form is not None else "a list in a form that is known"
            shown = " ".join(parts)[:_SHOWN]
            raise LinesInvalid(f"line {number} is not of it ({wanted}): {shown!r}")
        trials.append(Trial(*(names.setdefault(text, text) for text in trial)))
    if form is None:
        raise LinesInvalid("it has no trials")
    return Parsed(form, trials)


def enrolment_of(lines: Iterable[str]) -> dict[str, tuple[str, ...]]:
    """Return the recordings that each model was enrolled with: lines of ``MODEL FILE,FILE,...``.

    Raises:
        LinesInvalid: the first line that is none is named, or a model has two lines.
    """
    found: dict[str, tuple[str, ...]] = {}
    for number, parts in _columns(lines):
        files = tuple(name for name in parts[1].split(",") if name) if len(parts) == 2 else ()
        if not files or parts[0] in found:
            shown = " ".join(parts)[:_SHOWN]
            why = "names a model again" if files else "is not MODEL FILE,FILE,..."
            raise LinesInvalid(f"line {number} {why}: {shown!r}")
        found[parts[0]] = files
    return found


def _columns(lines: Iterable[str]) -> Iterable[tuple[int, list[str]]]:
    for number, line in enumerate(lines, 1):
        parts = line.split()
        if parts and not parts[0].startswith("#"):
            yield number, parts
