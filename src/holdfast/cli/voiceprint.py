"""Commands about voiceprints, on this machine: no service needs to run."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from holdfast.cli._context import Context, one_line
from holdfast.cli._trials import add_trial_commands
from holdfast.cli._voices import add_audio_options, caller, kept, loaded, model_of, recording
from holdfast.errors import ConfigInvalid

if TYPE_CHECKING:
    from holdfast.voiceprint import Refusal, SpoofVerdict, Verification, Voiceprint
    from holdfast.voiceprint.gallery import Gallery, Profile
    from holdfast.wiring import Services

__all__ = ["add_commands"]

_REFUSED = 1


def add_commands(commands: Any) -> None:
    """Add this module's commands to the parser."""
    voice = commands.add_parser("voiceprint", help="who speaks: enroll, verify, identify, evaluate")
    voice.add_argument("--profile", metavar="NAME", help="starter (default), standard or gpu")
    actions = voice.add_subparsers(dest="action", metavar="ACTION", required=True)

    enroll = actions.add_parser("enroll", help="add recordings to a speaker")
    enroll.add_argument("speaker", metavar="ID")
    enroll.add_argument("files", metavar="FILE", nargs="+", type=Path)
    enroll.add_argument("--name", default="", help="the name that people are shown")
    enroll.add_argument("--tag", action="append", default=[], help="may be given several times")
    enroll.add_argument("--consent", default="", help="what was agreed to, when and how")
    enroll.set_defaults(run=_enroll)

    verify = actions.add_parser("verify", help="is this the speaker's voice?")
    verify.add_argument("speaker", metavar="ID")
    verify.add_argument("file", metavar="FILE", type=Path)
    verify.set_defaults(run=_verify)

    compare = actions.add_parser("compare", help="are two recordings of one voice?")
    compare.add_argument("files", metavar="FILE", nargs=2, type=Path)
    compare.set_defaults(run=_compare)

    identify = actions.add_parser("identify", help="who of those enrolled is this?")
    identify.add_argument("file", metavar="FILE", type=Path)
    identify.add_argument("--top", type=int, default=5, help="how many at most (5)")
    identify.set_defaults(run=_identify)

    spoof = actions.add_parser("spoof", help="is this a person's own speech?")
    spoof.add_argument("file", metavar="FILE", type=Path)
    spoof.set_defaults(run=_spoof)

    for listening in (enroll, verify, compare, identify, spoof):
        add_audio_options(listening)

    speakers = actions.add_parser("speakers", help="list, erase, export or import speakers")
    what = speakers.add_mutually_exclusive_group()
    what.add_argument("--erase", metavar="ID", help="destroy all that is kept of a speaker")
    what.add_argument("--export", metavar="ID", help="print all that is kept of a speaker")
    what.add_argument("--import", metavar="FILE", type=Path, dest="take_in",
                      help="add a speaker that was exported")  # fmt: skip
    what.add_argument("--audit", action="store_true", help="print the audit log, checked")
    what.add_argument("--outdated", action="store_true",
                      help="who must be enrolled again with this model")  # fmt: skip
    what.add_argument("--re-enroll", action="store_true",
                      help="do so with the recordings that were kept")  # fmt: skip
    speakers.set_defaults(run=_speakers)

    add_trial_commands(actions)


def _enroll(args: argparse.Namespace, context: Context) -> int:
    from holdfast.runtime import carry_out
    from holdfast.voiceprint.gallery import Profile

    sources = [recording(file, args) for file in args.files]
    with loaded(args, context) as services:
        app = services.voiceprint
        known = app.gallery.has(args.speaker)
        before = app.gallery.profile(args.speaker) if known else Profile(id=args.speaker)
        # What is not said stays as it is.
        profile = replace(
            before,
            display_name=args.name or before.display_name,
            tags=tuple(args.tag) or before.tags,
            consent=args.consent or before.consent,
        )
        done = carry_out(app.enrol(args.speaker, sources, caller(), profile))
        if known and done.accepted and profile != before:
            app.gallery.put(profile, caller())
    if context.json:
        context.result_json(done.to_dict())
    else:
        for file, (quality, wrong) in zip(args.files, done.utterances, strict=True):
            told = "; ".join(each.message for each in wrong) or "enrolled"
            context.result(f"{one_line(str(file))}: {quality.speech_s:.1f} s of speech: {told}")
        more = f", {done.needed_s:.1f} s more are advised" if done.needed_s else ""
        context.say(f"{args.speaker} has {done.speech_s:.1f} s of speech enrolled{more}")
    return 0 if done.accepted == len(args.files) else _REFUSED


def _verify(args: argparse.Namespace, context: Context) -> int:
    from holdfast.runtime import carry_out

    source = recording(args.file, args)
    with loaded(args, context) as services:
        found = carry_out(services.voiceprint.verify(args.speaker, source, caller()))
    return _tell_decision(context, found)


def _compare(args: argparse.Namespace, context: Context) -> int:
    from holdfast.runtime import carry_out

    first, second = (recording(file, args) for file in args.files)
    with loaded(args, context) as services:
        found = carry_out(services.voiceprint.compare(first, second))
    return _tell_decision(context, found)


def _tell_decision(context: Context, found: Verification) -> int:
    decision, scale = found.decision, found.scale
    if context.json:
        context.result_json(found.to_dict())
    else:
        context.result(decision.outcome)
        if decision.score is not None:
            llr = "" if decision.llr is None else f", log-likelihood ratio {decision.llr:+.1f}"
            context.say(f"score {decision.score:.3f}, accepted from {scale.accept_at:.3f}{llr}")
        _tell_reasons(context, decision.reasons)
        context.say(_operating_text(found))
        _tell_spoof(context, found.spoof)
    return 0 if decision.outcome == "accept" else _REFUSED


def _tell_reasons(context: Context, reasons: Any) -> None:
    for each in reasons:
        one: Refusal = each
        context.say(f"  {one.code}: {one.message}")


def _operating_text(found: Verification) -> str:
    point = found.scale.operating_point()
    if point["false_accept_rate"] is None:
        return "error rates at this threshold: not measured; holdfast voiceprint calibrate does"
    return (
        f"at this threshold {_rate(point, 'false_accept')} of other speakers were accepted and "
        f"{_rate(point, 'false_reject')} of the speaker's own trials were not, on "
        f"{point['data']} ({point['trials']} trials)"
    )


def _rate(point: Mapping[str, Any], kind: str) -> str:
    most = point[f"{kind}_at_most"]
    return f"{point[f'{kind}_rate']:.2%}" + (f" (at most {most:.2%})" if most is not None else "")


def _identify(args: argparse.Namespace, context: Context) -> int:
    from holdfast.runtime import carry_out
    from holdfast.speech import OptionInvalid

    if args.top < 1:
        raise OptionInvalid(
            f"--top {args.top} is too few", why="at least one can be named",
            hint="holdfast voiceprint identify FILE --top 5",
        )  # fmt: skip
    source = recording(args.file, args)
    with loaded(args, context) as services:
        found = carry_out(services.voiceprint.identify(source, args.top, caller()))
    if context.json:
        context.result_json(found.to_dict())
    else:
        for each in found.candidates:
            name = one_line(each.display_name)
            context.result(f"{each.speaker_id}  {each.score:.3f}  {name}".rstrip())
        _tell_reasons(context, found.reasons)
        if not found.candidates and not found.reasons:
            context.say(f"nobody enrolled scores {found.scale.accept_at:.3f} or more")
    return 0 if found.candidates else _REFUSED


def _spoof(args: argparse.Namespace, context: Context) -> int:
    from holdfast.runtime import carry_out

    source = recording(args.file, args)
    with loaded(args, context) as services:
        found = carry_out(services.voiceprint.detect(source))
    if context.json:
        context.result_json(found.to_dict())
    else:
        context.result(found.decision)
        _tell_spoof(context, found)
    return 0 if found.decision == "bona_fide" else _REFUSED


def _tell_spoof(context: Context, found: SpoofVerdict) -> None:
    if found.score is None:
        context.say(f"spoofing: not evaluated ({found.reason})")
    else:
        context.say(
            f"spoofing: {found.decision.replace('_', ' ')}, log-odds {found.score:+.2f} for a "
            f"person's own speech; an attack below {found.threshold:+.2f}"
        )


def _speakers(args: argparse.Namespace, context: Context) -> int:
    if args.outdated or args.re_enroll:
        return _outdated(args, context)
    with kept(args, context) as services:
        gallery = services.voiceprint.gallery
        if args.erase is not None:
            gallery.erase(args.erase, caller())
            _tell_done(context, {"erased": args.erase}, f"{args.erase} is erased")
        elif args.export is not None:
            context.result_json_document(gallery.export(args.export, caller()))
        elif args.take_in is not None:
            profile = gallery.take_in(_read_json(args.take_in), caller())
            _tell_done(context, {"imported": profile.id}, f"{profile.id} is here")
        elif args.audit:
            for line in gallery.audit():
                context.result_json_line(line)
        else:
            return _list(context, services)
    return 0


def _tell_done(context: Context, value: object, text: str) -> None:
    if context.json:
        context.result_json(value)
    else:
        context.say(text)


def _outdated(args: argparse.Namespace, context: Context) -> int:
    """Name those that only other models know; enrol them again where that can be done."""
    with loaded(args, context) as services:
        app = services.voiceprint
        outdated = app.gallery.outdated(services.supervisor.ask(app.model, model_of))
        if not args.re_enroll:
            for speaker in outdated if not context.json else ():
                context.result(speaker)
            if context.json:
                context.result_json(outdated)
            return 0
        told = []
        for speaker in outdated:
            told.append(_enrolled_again(app, speaker))
            if not context.json:
                context.result(_again_text(told[-1]))
    if context.json:
        context.result_json(told)
    return 0 if all(each["enrolled"] and not each["reasons"] for each in told) else _REFUSED


def _enrolled_again(app: Voiceprint, speaker: str) -> dict[str, Any]:
    """Enrol one from recordings that were kept; what stands in the way of one stops no other."""
    from holdfast.runtime import carry_out
    from holdfast.voiceprint.gallery import SpeakerInvalid, TemplateTampered, UnknownSpeaker

    try:
        done, wrong = carry_out(app.re_enrol(speaker, caller()))
        reasons = [each.to_dict() for each in wrong]
    except (SpeakerInvalid, TemplateTampered, UnknownSpeaker) as error:
        done, reasons = 0, [{"code": error.code, "message": str(error)}]
    if not done and not reasons:
        reasons = [{"code": "no-recording", "message": "no recording is kept, and new ones are "
                    "needed"}]  # fmt: skip
    return {"id": speaker, "enrolled": done, "reasons": reasons}


def _again_text(told: dict[str, Any]) -> str:
    done = [f"{told['enrolled']} recording(s) enrolled again"] if told["enrolled"] else []
    return f"{told['id']}: " + "; ".join([*done, *(each["message"] for each in told["reasons"])])


def _list(context: Context, services: Services) -> int:
    listed = [_shown(services.voiceprint.gallery, *each) for each in
              services.voiceprint.gallery.listed()]  # fmt: skip
    damaged = [each["id"] for each in listed if each["damaged"]]
    if context.json:
        context.result_json(listed)
        return _REFUSED if damaged else 0
    for each in listed:
        about = "damaged" if each["damaged"] else f"{each['speech_s']:.1f} s"
        context.result(f"{each['id']}  {about}  {one_line(each['display_name'])}".rstrip())
    for speaker in damaged:
        context.say(
            f"what is stored of {speaker} does not open, and nobody is recognised as {speaker}: "
            "restore the gallery from a copy, or "
            f"holdfast voiceprint speakers --erase {speaker}, and enroll again"
        )
    if not listed:
        context.say("nobody is enrolled")
    return _REFUSED if damaged else 0


def _shown(gallery: Gallery, speaker: str, profile: Profile | None) -> dict[str, Any]:
    """Return a line of the list."""
    from holdfast.voiceprint.gallery import TemplateTampered

    seconds, damaged = 0.0, profile is None
    try:
        seconds = gallery.speech_s(speaker)
    except TemplateTampered:
        damaged = True
    return {
        "id": speaker,
        "display_name": profile.display_name if profile else "",
        "tags": list(profile.tags) if profile else [],
        "created": profile.created if profile else "",
        "speech_s": round(seconds, 2),
        "damaged": damaged,
    }


def _read_json(path: Path) -> Any:
    try:
        return json.loads(sys.stdin.read() if str(path) == "-" else path.read_text("utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        why = "it is nested too deep" if isinstance(error, RecursionError) else str(error)
        raise ConfigInvalid(
            f"{path} cannot be read", why=why, hint="give what --export printed"
        ) from error
