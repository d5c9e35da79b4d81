"""A report in a folder: a page, two pictures, and the figures for programs."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from holdfast.errors import ConfigInvalid
from holdfast.places import Modes, write_file
from holdfast.voiceprint.evaluation._forms import Trial
from holdfast.voiceprint.evaluation._page import Picture, page
from holdfast.voiceprint.evaluation._plots import Mark, det_plot, score_plot
from holdfast.voiceprint.evaluation._report import Report, figure_text, titled

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["require_folder", "write_report"]

_ALIKE = "cosine between embeddings"
_NORMALISED = "score, in deviations above strangers'"
_GENUINE = "the detector's score, higher for bona fide speech"


def write_report(
    folder: Path, report: Report, trials: Sequence[Trial], scores: NDArray[np.float64]
) -> Path:
    """Write ``report.html``, ``det.png``, ``scores.png`` and ``figures.json``; return the page.

    Args:
        folder: where; made where it is missing.
        report: what to say.
        trials: those that were rated.
        scores: shape (trials,).

    Raises:
        MissingExtra: matplotlib is not installed.
        ConfigInvalid: the folder cannot be written.
    """
    pictures = {"det.png": _det(report), "scores.png": _spread(report, trials, scores)}
    files = {
        **{name: picture.light for name, picture in pictures.items()},
        "figures.json": (json.dumps(report.to_dict(), indent=1) + "\n").encode(),
        "report.html": page(report, list(pictures.values())).encode(),
    }
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for name, content in files.items():
            write_file(folder / name, content, Modes())
    except OSError as error:
        raise _unwritable(folder, error) from error
    return folder / "report.html"


def require_folder(folder: Path) -> None:
    """Make sure that a report can be written, before the work is done that it tells of.

    Raises:
        ConfigInvalid: the folder cannot be written.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.NamedTemporaryFile(dir=folder):
            pass
    except OSError as error:
        raise _unwritable(folder, error) from error


def _unwritable(folder: Path, error: OSError) -> ConfigInvalid:
    return ConfigInvalid(
        f"the report cannot be written to {folder}", why=error.strerror or str(error),
        hint="--report DIR, a folder that can be written",
    )  # fmt: skip


def _det(report: Report) -> Picture:
    rating = report.rating
    first = "bona fide and spoofed speech" if report.scale is None else "another speaker"
    curves, marks = {first: rating.curve}, []
    if rating.spoof_curve is not None:
        curves["attacks"] = rating.spoof_curve
        rate = rating.figures["spf_eer"].value
        marks.append(Mark(f"EER against attacks: {figure_text(rate, share=True)}", rate, rate))
    for name, point in rating.points.items():
        title, share = titled(name)
        title = "EER" if name == "eer" else title
        value = figure_text(rating.figures[name].value, share=share)
        marks.append(Mark(f"{title}: {value}", point.miss, point.false_accept))
    if report.scale is not None:
        miss, false_accept = rating.curve.at(report.scale.accept_at)
        text = f"threshold in use, {report.scale.accept_at:.3f}"
        marks.append(Mark(text, miss, false_accept))
    alt = "Detection error trade-off. " + "; ".join(
        f"{mark.text} (missed {100 * mark.miss:.2f} %, accepted {100 * mark.false_accept:.2f} %)"
        for mark in marks
    )
    trials = max(report.counts.values())
    light, dark = (det_plot(curves, marks, trials, dark=dark) for dark in (False, True))
    caption = "Errors against each other at every threshold, on normal deviates. Lower is better."
    return Picture(light, dark, alt + ".", caption)


def _spread(report: Report, trials: Sequence[Trial], scores: NDArray[np.float64]) -> Picture:
    labels = np.array([trial.label for trial in trials])
    kinds: dict[str, Any] = {kind: scores[labels == kind] for kind in report.counts}
    if report.scale is None:
        thresholds, across = {"EER": report.rating.points["eer"].threshold}, _GENUINE
    else:
        thresholds = {"accepted from": report.scale.accept_at}
        across = _NORMALISED if report.scale.cohort else _ALIKE
        if report.scale.reject_below < report.scale.accept_at:
            thresholds["rejected below"] = report.scale.reject_below
    alt = "Histogram of scores. " + "; ".join(
        f"{kind}: half of {len(values)} between {low:.3f} and {high:.3f}"
        for kind, values in kinds.items()
        for low, high in [np.quantile(values, [0.25, 0.75])]
    )
    drawn = [score_plot(kinds, thresholds, across=across, dark=dark) for dark in (False, True)]
    caption = "How the scores of each kind of trial are spread, and the thresholds."
    return Picture(drawn[0], drawn[1], alt + ".", caption)
