"""Rating and calibrating on trials: `holdfast voiceprint calibrate` and `evaluate`."""

from __future__ import annotations

import argparse
import functools
import json
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from holdfast.cli._context import Context
from holdfast.cli._voices import loaded, model_of, recording
from holdfast.errors import ConfigInvalid

if TYPE_CHECKING:
    from holdfast.voiceprint import Examined
    from holdfast.voiceprint.evaluation import Trial
    from holdfast.wiring import Services

__all__ = ["add_trial_commands"]

_EVERY = 50


def add_trial_commands(actions: Any) -> None:
    """Add these commands to the parser."""
    calibrate = _add(actions, "calibrate", "fit thresholds and ratios to your own trials")
    calibrate.add_argument("--data", required=True, metavar="TEXT",
                           help="what the trials are, for those who read error rates")  # fmt: skip
    calibrate.add_argument("--false-accepts", type=float, default=0.01, metavar="SHARE",
                           help="of other speakers' trials, at most (0.01)")  # fmt: skip
    calibrate.add_argument("--false-rejects", type=float, default=0.01, metavar="SHARE",
                           help="of the speaker's own trials, at most (0.01)")  # fmt: skip
    calibrate.set_defaults(run=_calibrate)
    _add(actions, "evaluate", "rate the model on your own trials").set_defaults(run=_evaluate)


def _add(actions: Any, name: str, text: str) -> Any:
    rate = actions.add_parser(name, help=text)
    rate.add_argument("trials", metavar="TRIALS", type=Path,
                      help="lines of: 1 or 0, enrolled recording, tested one")  # fmt: skip
    rate.add_argument("--audio", metavar="DIR", type=Path, default=Path(),
                      help="what the recordings' names are below (.)")  # fmt: skip
    rate.add_argument("--scores", metavar="FILE", type=Path,
                      help="keep scores there, and go on with what is there")  # fmt: skip
    return rate


def _calibrate(args: argparse.Namespace, context: Context) -> int:
    from holdfast.voiceprint.evaluation import TrialsInvalid, scale_of

    with loaded(args, context) as services:
        scored, model = _scored(args, context, services)
        try:
            scale = scale_of(
                model, scored, data=args.data,
                most_false_accepts=args.false_accepts, most_false_rejects=args.false_rejects,
            )  # fmt: skip
        except ValueError as error:
            raise TrialsInvalid(
                f"{args.trials} cannot be calibrated on", why=str(error),
                hint="give a list with enough trials of both kinds",
            ) from error  # fmt: skip
        path = services.voices.keep_scale(scale)
    if context.json:
        context.result_json(json.loads(scale.text()))
    else:
        context.result(str(path))
        context.say(
            f"accepted from {scale.accept_at:.3f}, rejected below {scale.reject_below:.3f}; false "
            f"accepts {scale.false_accept_rate:.2%}, not accepted {scale.false_reject_rate:.2%}"
        )
    return 0


def _evaluate(args: argparse.Namespace, context: Context) -> int:
    from holdfast.voiceprint.evaluation import TrialsInvalid, evaluate

    with loaded(args, context) as services:
        scored, model = _scored(args, context, services)
        scale = services.voices.scale()
        if scale is None or scale.model != model:
            scale = services.supervisor.ask(services.voiceprint.model, _scale_of)
    try:
        figures = evaluate(scored, scale.llr)
    except ValueError as error:
        raise TrialsInvalid(
            f"{args.trials} cannot be evaluated", why=str(error),
            hint="give a list with trials of both kinds",
        ) from error  # fmt: skip
    if context.json:
        context.result_json(
            {
                "model": model,
                "trials": len(scored),
                "figures": {name: figure.to_dict() for name, figure in figures.items()},
            }
        )
        return 0
    for name, figure in figures.items():
        between = "" if figure.low is None else f"  ({figure.low:.4f} to {figure.high:.4f})"
        context.result(f"{name:<14} {figure.value:.4f}{between}")
    context.say(f"{len(scored)} trials; in brackets 95 % of what other speakers would have given")
    return 0


def _scale_of(voice: Any) -> Any:
    """Return the loaded model's own scale; done where the model is."""
    return voice.scale


def _scored(
    args: argparse.Namespace, context: Context, services: Services
) -> tuple[list[tuple[Trial, float]], str]:
    """Score every trial; recordings are embedded once each, and only those that are needed."""
    from holdfast.voiceprint.evaluation import ScoreFile, read_trials

    trials = read_trials(args.trials)
    model = services.supervisor.ask(services.voiceprint.model, model_of)
    score = _scorer(args.audio, context, services)
    if args.scores is None:
        return [(trial, score(trial)) for trial in trials], model
    return list(ScoreFile(args.scores, model).complete(trials, score)), model


def _scorer(audio: Path, context: Context, services: Services) -> Callable[[Trial], float]:
    from holdfast.voiceprint import alike, carry_out

    @functools.cache
    def examined(name: str) -> Examined:
        found = carry_out(services.voiceprint.examine(recording(audio / name)))
        if examined.cache_info().misses % _EVERY == 0:
            context.say(f"{examined.cache_info().misses} recordings are embedded")
        if found.vector is None:
            raise ConfigInvalid(
                f"{name} cannot be compared", why="nobody speaks in it",
                hint="leave it out of the list of trials",
            )  # fmt: skip
        return found

    return lambda trial: alike(examined(trial.enrol).vector, examined(trial.test).vector)
