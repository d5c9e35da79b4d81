"""Scoring a list of trials: every recording is worked through once, whatever comes in between."""

from __future__ import annotations

import argparse
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias

from holdfast.cli._context import Context
from holdfast.cli._count import Count
from holdfast.cli._voices import loaded, model_of, recording
from holdfast.errors import HoldfastError

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from holdfast.media import Recording
    from holdfast.voiceprint import Cohort, Scale, SpoofVerdict
    from holdfast.voiceprint.evaluation import Measured, Scores, Trial, TrialList, WorkFile
    from holdfast.wiring import Services

__all__ = ["Scored", "scored"]

_ENDINGS = ("", ".flac", ".wav")
_SHOWN = 5
_SILENT = "nobody speaks in it"
_ABSENT = "there is no such file"
_UNRATED = "the detector did not evaluate it"


@dataclass(frozen=True, slots=True, kw_only=True)
class Scored:
    """What came of a list.

    Attributes:
        listed: the list.
        trials: those that were scored.
        scores: shape (trials,): cosines, or a detector's scores.
        spoof: what a detector said of tested recordings.
        unusable: how many recordings cannot be used, by the reason.
        model: fingerprint of the speaker model; of the detector in lists for detectors.
        detector: what is mounted against attacks; "" for nothing.
        scale: the thresholds in use.
        cohort: what the scores were normalised with.
    """

    listed: TrialList
    trials: Sequence[Trial]
    scores: NDArray[np.float64]
    spoof: Mapping[str, SpoofVerdict]
    unusable: Mapping[str, int]
    model: str
    detector: str
    scale: Scale
    cohort: Cohort | None = None

    @property
    def left_out(self) -> int:
        """How many trials were not scored."""
        return len(self.listed.trials) - len(self.trials)


# Makes a cohort of a folder; the second argument is the model's fingerprint.
MakeCohort: TypeAlias = "Callable[[Services, str], Cohort | None]"


@contextmanager
def scored(
    args: argparse.Namespace, context: Context, make_cohort: MakeCohort | None = None
) -> Iterator[tuple[Scored, Services]]:
    """Score the list that ``args`` name; the services stay for as long as the block lasts.

    Args:
        args: of the command.
        context: of the command.
        make_cohort: what scores are normalised with; as the scale in use says when None.

    Raises:
        TrialsInvalid: the list, or the file of scores, cannot be used.
        RecordingsUnusable: recordings cannot be used, and ``--skip-unusable`` was not said.
        DetectorMissing: the list rates a detector, and none is mounted.
    """
    from holdfast.voiceprint.evaluation import ScoreFile, Scores, read_trials

    listed = read_trials(args.trials, args.form, args.enrolment)
    about = {"list": listed.digest, "audio": str(args.audio.resolve()), "reading": _reading(args)}
    kept = ScoreFile(args.scores) if args.scores is not None else None
    if kept is not None:
        kept.check(about)
        known = kept.read(listed.trials)
    else:
        known = Scores.none(len(listed.trials))
    pending = known.pending()
    found = _Recordings.of(args.audio, listed.recordings([listed.trials[at] for at in pending]))
    if found.wrong and not args.skip_unusable:
        raise found.error(listed)
    with loaded(args, context) as services:
        model = services.supervisor.ask(services.voiceprint.model, model_of)
        detector = detector_of(services)
        _check_detector(listed, detector)
        scale = services.voices.scale()
        if scale is None or scale.model != model:
            scale = services.supervisor.ask(services.voiceprint.model, _own_scale)
        if listed.form.detector:
            cohort = None
        elif make_cohort is not None:
            cohort = make_cohort(services, model)
        else:
            cohort = services.voiceprint.scores.cohort_of(scale)
        about |= {"model": model, "detector": detector, "cohort": cohort.digest if cohort else ""}
        if kept is not None:
            kept.check(about)
        _complete(args, context, services, listed, known, pending, found, about, cohort)
        there = known.there()
        yield Scored(
            listed=listed, trials=[listed.trials[at] for at in there],
            scores=known.values[there], spoof=known.spoof, unusable=found.counts(),
            model=detector if listed.form.detector else model, detector=detector, scale=scale,
            cohort=cohort,
        ), services  # fmt: skip


def detector_of(services: Services) -> str:
    """Return the fingerprint of what is mounted against attacks; "" for nothing."""
    detector = services.voiceprint.detector
    return "" if detector is None else services.supervisor.ask(detector, _detector_model)


def _detector_model(detector: Any) -> str:
    """Return the loaded detector's fingerprint; done where it is."""
    model: str = detector.model
    return model


def _check_detector(listed: TrialList, detector: str) -> None:
    from holdfast.voiceprint.evaluation import DetectorMissing

    if listed.form.detector and not detector:
        raise DetectorMissing(
            "no detector is mounted",
            why=f"{listed.path} ({listed.form.name}) rates a detector of attacks",
            hint="HOLDFAST_VOICEPRINT_SPOOF_MODEL=owner/name (docs/voiceprint.md), or a list that "
            "compares speakers",
        )


def _reading(args: argparse.Namespace) -> str:
    """Return how recordings are read, in words: scores of one way are none of another."""
    channel = "all channels" if args.channel is None else f"channel {args.channel}"
    return channel if args.pcm is None else f"{channel} of {args.pcm}"


def _own_scale(voice: Any) -> Any:
    """Return the loaded model's own scale; done where the model is."""
    return voice.scale


@dataclass(slots=True)
class _Recordings:
    """Where a list's recordings are, and what is wrong with those that cannot be used."""

    paths: dict[str, Path] = field(default_factory=dict)
    wrong: dict[str, list[str]] = field(default_factory=dict)

    @classmethod
    def of(cls, audio: Path, names: Sequence[str]) -> _Recordings:
        """Find recordings below a folder; ASVspoof's lists name them without their endings."""
        found = cls()
        for name in names:
            places = (
                audio / folder / f"{name}{ending}" for folder in ("", "flac") for ending in _ENDINGS
            )
            path = next((place for place in places if place.is_file()), None)
            if path is None:
                found.refuse(name, _ABSENT)
            else:
                found.paths[name] = path
        return found

    def refuse(self, name: str, why: str) -> None:
        """Note what is wrong with a recording."""
        self.wrong.setdefault(why, []).append(name)
        self.paths.pop(name, None)

    def counts(self) -> dict[str, int]:
        """Return how many cannot be used, by the reason."""
        return {why: len(names) for why, names in self.wrong.items()}

    def error(self, listed: TrialList) -> HoldfastError:
        """Return what is said of all of them at once."""
        from holdfast.voiceprint.evaluation import RecordingsUnusable

        told = []
        for why, names in self.wrong.items():
            more = ", ..." if len(names) > _SHOWN else ""
            told.append(f"{len(names)}: {why} ({', '.join(names[:_SHOWN])}{more})")
        count = sum(self.counts().values())
        return RecordingsUnusable(
            f"{count} of the {len(listed.recordings())} recordings of {listed.path} cannot be used",
            why="; ".join(told),
            hint="--audio DIR, where they are; or --skip-unusable, to leave their trials out",
            unusable=self.counts(),
        )


def _complete(
    args: argparse.Namespace,
    context: Context,
    services: Services,
    listed: TrialList,
    known: Scores,
    pending: Sequence[int],
    found: _Recordings,
    about: Mapping[str, str],
    cohort: Cohort | None,
) -> None:
    """Score what has no score yet, and write the scores down."""
    from holdfast.voiceprint.evaluation import ScoreFile, WorkFile, pair_scores

    if not pending:
        return
    trials = [listed.trials[at] for at in pending]
    work = None
    if args.scores is not None:
        work = WorkFile(args.scores.with_name(args.scores.name + ".work"), about)
    with nullcontext() if work is None else work:
        measured = _measured(args, context, services, listed, trials, found, work)
        if found.wrong and not args.skip_unusable:
            raise found.error(listed)
        for name, each in measured.items():
            if each.spoof is not None:
                known.spoof[name] = each.spoof
        if listed.form.detector:
            for at, trial in zip(pending, trials, strict=True):
                verdict = known.spoof.get(trial.test)
                if verdict is not None and verdict.score is not None:
                    known.values[at] = verdict.score
        else:
            known.values[pending] = pair_scores(listed, trials, measured, cohort)
        if work is not None:
            ScoreFile(args.scores).write(about, listed.trials, known)
            work.remove()


def _measured(
    args: argparse.Namespace,
    context: Context,
    services: Services,
    listed: TrialList,
    trials: Sequence[Trial],
    found: _Recordings,
    work: WorkFile | None,
) -> dict[str, Measured]:
    """Work through the recordings that are not known yet; what is wrong with one is noted."""
    known = {} if work is None else work.read()
    attacked = any(trial.label == "spoof" for trial in listed.trials)
    tested = {trial.test for trial in trials} if attacked else set()
    names = list(found.paths)
    left = [name for name in names if name not in known]
    with Count(context, "recordings", len(names), len(names) - len(left)) as count:
        for name in left:
            try:
                source = recording(found.paths[name], args)
                measured = _one(services, listed, source, spoofed=name in tested)
            except HoldfastError as error:
                if error.http_status not in {413, 415, 422}:
                    raise  # of the machine or the model, not of the recording
                found.refuse(name, error.code)
            else:
                why = _wrong(listed, measured)
                if why is not None:
                    found.refuse(name, why)
                else:
                    known[name] = measured
                    if work is not None:
                        work.add(name, measured)
            count.step()
    return known


def _one(services: Services, listed: TrialList, source: Recording, *, spoofed: bool) -> Measured:
    from holdfast.runtime import carry_out
    from holdfast.voiceprint.evaluation import Measured

    if listed.form.detector:
        return Measured(None, carry_out(services.voiceprint.detect(source)))
    examined = carry_out(services.voiceprint.examine(source, judge=spoofed))
    asked = spoofed and services.voiceprint.detector is not None
    return Measured(examined.vector, examined.spoof if asked else None)


def _wrong(listed: TrialList, measured: Measured) -> str | None:
    """Return why a recording cannot be used, if so."""
    if not listed.form.detector:
        return _SILENT if measured.vector is None else None
    return _UNRATED if measured.spoof is None or measured.spoof.score is None else None
