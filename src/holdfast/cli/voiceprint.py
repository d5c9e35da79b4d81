"""Commands about voiceprints, on this machine: no service needs to run."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from holdfast.cli._context import Context
from holdfast.cli._trials import add_trial_commands
from holdfast.cli._voices import add_audio_options, caller, kept, loaded, model_of, recording
from holdfast.errors import ConfigInvalid

if TYPE_CHECKING:
    from holdfast.voiceprint import Refusal, SpoofVerdict, Verification
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
        if known and profile != before:
            app.gallery.put(profile, caller())
        done = carry_out(app.enrol(args.speaker, sources, caller(), profile))
    if context.json:
        context.result_json(done.to_dict())
    else:
        for file, (quality, wrong) in zip(args.files, done.utterances, strict=True):
            told = "; ".join(each.message for each in wrong) or "enrolled"
            context.result(f"{file}: {quality.speech_s:.1f} s of speech: {told}")
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

    source = recording(args.file, args)
    with loaded(args, context) as services:
        found = carry_out(services.voiceprint.identify(source, max(args.top, 1), caller()))
    if context.json:
        context.result_json(found.to_dict())
    else:
        for each in found.candidates:
            context.result(f"{each.speaker_id}  {each.score:.3f}  {each.display_name}".rstrip())
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
            context.say(f"{args.erase} is erased")
        elif args.export is not None:
            exported = gallery.export(args.export, caller())
            context.result(json.dumps(exported, indent=2, ensure_ascii=False))
        elif args.take_in is not None:
            profile = gallery.take_in(_read_json(args.take_in), caller())
            context.say(f"{profile.id} is here")
        elif args.audit:
            for line in gallery.audit():
                context.result(json.dumps(line, ensure_ascii=False))
        else:
            _list(context, services)
    return 0


def _outdated(args: argparse.Namespace, context: Context) -> int:
    """Name those that only other models know; enrol them again where that can be done."""
    from holdfast.runtime import carry_out

    left = 0
    with loaded(args, context) as services:
        app = services.voiceprint
        model = services.supervisor.ask(app.model, model_of)
        for speaker in app.gallery.outdated(model):
            done = carry_out(app.re_enrol(speaker, caller())) if args.re_enroll else 0
            left += not done
            if not args.re_enroll:
                context.result(speaker)
            elif done:
                context.result(f"{speaker}: {done} recording(s) enrolled again")
            else:
                context.result(f"{speaker}: no recording is kept, and new ones are needed")
    return _REFUSED if args.re_enroll and left else 0


def _list(context: Context, services: Services) -> None:
    gallery = services.voiceprint.gallery
    listed = [
        (profile, sum(each.speech_s for each in gallery.utterances(profile.id)))
        for profile in gallery.profiles()
    ]
    if context.json:
        context.result_json(
            [
                {"id": profile.id, "display_name": profile.display_name,
                 "tags": list(profile.tags), "created": profile.created,
                 "speech_s": round(seconds, 2)}
                for profile, seconds in listed
            ]
        )  # fmt: skip
        return
    for profile, seconds in listed:
        context.result(f"{profile.id}  {seconds:.1f} s  {profile.display_name}".rstrip())
    if not listed:
        context.say("nobody is enrolled")


def _read_json(path: Path) -> Any:
    try:
        return json.loads(sys.stdin.read() if str(path) == "-" else path.read_text("utf-8"))
    except (OSError, ValueError) as error:
        raise ConfigInvalid(
            f"{path} cannot be read", why=str(error), hint="give what --export printed"
        ) from error
