"""`holdfast voiceprint evaluate`: what a list of trials says of a model, told and reported."""

from __future__ import annotations

import argparse
from collections import Counter
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from holdfast._version import __version__
from holdfast.cli._context import Context
from holdfast.cli._scoring import Scored, scored

if TYPE_CHECKING:
    from holdfast.voiceprint.evaluation import Rating, Report

__all__ = ["run_evaluate"]


def run_evaluate(args: argparse.Namespace, context: Context) -> int:
    """Score the list, rate the scores, and tell; return the exit code."""
    from holdfast.voiceprint.evaluation import require_folder, require_plots, write_report

    if args.report is not None:
        require_plots()
        require_folder(args.report)
    with scored(args, context) as (found, _):
        pass
    report = _report(args, found)
    if context.json:
        context.result_json(report.to_dict())
    else:
        _tell(context, report)
    if args.report is not None:
        # After the figures: whatever becomes of the files, these are there.
        written = write_report(args.report, report, found.trials, found.scores)
        context.say(f"the report is at {written}")
    return 0


def _report(args: argparse.Namespace, found: Scored) -> Report:
    from holdfast.voiceprint.evaluation import Report, TrialsInvalid, outcomes_of

    try:
        rating = _rated(found)
    except ValueError as error:
        raise TrialsInvalid(
            f"{args.trials} cannot be evaluated", why=str(error),
            hint="give a list with trials of both kinds",
        ) from error  # fmt: skip
    scale = None if found.listed.form.detector else found.scale
    outcomes = [] if scale is None else outcomes_of(found.trials, found.scores, scale, found.spoof)
    return Report(
        name=found.listed.path.name.encode(errors="replace").decode(),  # any bytes name a file
        form=found.listed.form.name,
        digest=found.listed.digest,
        model=found.model,
        detector=found.detector,
        rating=rating,
        counts=Counter(trial.label for trial in found.trials),
        left_out=found.left_out,
        unusable=found.unusable,
        scale=scale,
        outcomes=outcomes,
        version=__version__,
        date=datetime.now(UTC).isoformat(timespec="seconds"),
    )


def _rated(found: Scored) -> Rating:
    from holdfast.voiceprint.evaluation import (
        Affine,
        evaluate,
        evaluate_detector,
        tandem_scores,
    )

    if found.listed.form.detector:
        return evaluate_detector(found.trials, found.scores)
    scale = found.scale
    calibrated = scale.slope is not None and scale.offset is not None
    return evaluate(
        found.trials,
        found.scores,
        Affine(scale.slope or 0.0, scale.offset or 0.0) if calibrated else None,
        tandem=tandem_scores(found.trials, found.scores, found.spoof) if found.spoof else None,
        models=found.listed.form.models,
    )


def _tell(context: Context, report: Report) -> None:
    rating = report.rating
    attacks = {f"eer of {name}": figure for name, figure in rating.attacks.items()}
    for name, figure in {**rating.figures, **attacks}.items():
        between = "" if figure.low is None else f"  ({figure.low:.4f} to {figure.high:.4f})"
        context.result(f"{name:<16} {figure.value:.4f}{between}")
    kinds = ", ".join(f"{count} {kind}" for kind, count in report.counts.items())
    drawn = f"{rating.speakers} {rating.drawn}"
    if rating.drawn == "recordings":
        drawn += ", each taken for a speaker's only one, for no folder names any"
    context.say(
        f"{sum(report.counts.values())} trials ({kinds}) of {drawn}; in brackets 95 % of what "
        "others would have given"
    )
    for each in report.outcomes:
        context.say(
            f"at the thresholds in use, {each.kind}: {each.accepted:.2%} accepted, "
            f"{each.inconclusive:.2%} inconclusive, {each.rejected:.2%} rejected"
        )
    if report.left_out:
        told = ", ".join(f"{count}: {why}" for why, count in report.unusable.items())
        context.say(
            f"{report.left_out} trials are left out; recordings that cannot be used, {told}"
        )
