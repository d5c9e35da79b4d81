"""Rating and calibrating on trials: `holdfast voiceprint calibrate` and `evaluate`."""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

from holdfast.cli._cohort import cohort_from
from holdfast.cli._context import Context
from holdfast.cli._evaluate import run_evaluate
from holdfast.cli._scoring import scored
from holdfast.cli._voices import add_audio_options, caller
from holdfast.errors import ConfigInvalid

if TYPE_CHECKING:
    from holdfast.voiceprint import Cohort
    from holdfast.wiring import Services

__all__ = ["add_trial_commands"]

# As in `holdfast.voiceprint.evaluation.FORMS`, which needs numpy to be imported; a test compares.
_FORMS = (
    "voxceleb", "asvspoof2019-cm", "asvspoof2019-asv", "asvspoof2021-cm", "asvspoof5-cm",
    "asvspoof5-asv",
)  # fmt: skip


def add_trial_commands(actions: Any) -> None:
    """Add these commands to the parser."""
    calibrate = _add(actions, "calibrate", "fit thresholds and ratios to your own trials")
    calibrate.add_argument("--data", required=True, metavar="TEXT",
                           help="what the trials are, for those who read error rates")  # fmt: skip
    calibrate.add_argument("--false-accepts", type=float, default=0.01, metavar="SHARE",
                           help="of other speakers' trials, at most (0.01)")  # fmt: skip
    calibrate.add_argument("--false-rejects", type=float, default=0.01, metavar="SHARE",
                           help="of the speaker's own trials, at most (0.01)")  # fmt: skip
    calibrate.add_argument("--cohort", metavar="DIR", type=Path,
                           help="normalise scores with other people's voices: a folder of "
                           "recordings for each")  # fmt: skip
    calibrate.set_defaults(run=_calibrate)
    rate = _add(actions, "evaluate", "rate the model, or a detector of attacks, on trials")
    rate.add_argument("--report", metavar="DIR", type=Path,
                      help="write report.html, det.png, scores.png and figures.json")  # fmt: skip
    rate.set_defaults(run=run_evaluate)


def _add(actions: Any, name: str, text: str) -> Any:
    # fmt: off
    rate = actions.add_parser(name, help=text)
    rate.add_argument("trials", metavar="TRIALS", type=Path,
                      help="lines of: 1 or 0, enrolled recording, tested one; or of ASVspoof")
    rate.add_argument("--form", choices=_FORMS, metavar="NAME",
                      help=f"of the lines, which say it themselves: {', '.join(_FORMS)}")
    rate.add_argument("--enrolment", metavar="FILE", type=Path, action="append", default=[],
                      help="lines of: model, its recordings; may be given several times")
    rate.add_argument("--audio", metavar="DIR", type=Path, default=Path(),
                      help="what the recordings' names are below (.)")
    rate.add_argument("--scores", metavar="FILE", type=Path,
                      help="keep scores there, and go on with what is there")
    rate.add_argument("--skip-unusable", action="store_true",
                      help="leave out trials whose recordings cannot be used")
    # fmt: on
    add_audio_options(rate)
    return rate


def _calibrate(args: argparse.Namespace, context: Context) -> int:
    from holdfast.voiceprint.evaluation import TrialsInvalid, scale_of

    if not args.data.strip():
        raise ConfigInvalid(
            "what the trials are must be said", why="--data is empty, and stands in every answer",
            hint="--data 'our headsets, May'",
        )  # fmt: skip

    def make_cohort(services: Services, model: str) -> Cohort | None:
        return cohort_from(args, context, services, model) if args.cohort is not None else None

    with scored(args, context, make_cohort) as (found, services):
        if found.listed.form.detector:
            raise TrialsInvalid(
                f"{args.trials} cannot be calibrated on",
                why=f"it rates a detector ({found.listed.form.name}), and compares no speakers",
                hint="give a list that compares speakers",
            )
        try:
            scale = scale_of(
                found.model, list(zip(found.trials, found.scores.tolist(), strict=True)),
                data=args.data, most_false_accepts=args.false_accepts,
                most_false_rejects=args.false_rejects, min_same_voice=found.scale.min_same_voice,
                cohort=found.cohort.digest if found.cohort else "",
            )  # fmt: skip
        except ValueError as error:
            raise TrialsInvalid(
                f"{args.trials} cannot be calibrated on", why=str(error),
                hint="give a list with enough trials of both kinds",
            ) from error  # fmt: skip
        path = services.voices.keep_scale(scale, found.cohort, caller())
    if context.json:
        context.result_json(json.loads(scale.text()))
    else:
        context.result(str(path))
        context.say(
            f"accepted from {scale.accept_at:.3f}, rejected below {scale.reject_below:.3f}; on "
            f"these same trials false accepts {scale.false_accept_rate:.2%} (at most "
            f"{scale.false_accept_at_most:.2%} with 95 % confidence), the speaker's own not "
            f"accepted {scale.false_reject_rate:.2%} (at most {scale.false_reject_at_most:.2%})"
        )
    if found.left_out:
        context.say(f"{found.left_out} trials are left out: their recordings cannot be used")
    return 0
