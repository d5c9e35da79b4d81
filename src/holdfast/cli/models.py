"""Commands about models: pull, plan, lock, sync, verify, repair, ls, collect."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING, Any

from holdfast.cli._context import Context, folder
from holdfast.events import size_text
from holdfast.refs import parse_ref

if TYPE_CHECKING:
    from holdfast.provision import Plan, Report, Wanted

__all__ = ["add_commands"]

Commands = Any  # argparse's own type of what add_subparsers returns is private


def add_commands(commands: Commands) -> None:
    """Add this module's commands to the parser."""
    pull = commands.add_parser("pull", help="bring repositories here, verified")
    _add_selection(pull, several=True)
    pull.add_argument("--dry-run", action="store_true", help="only print the plan")
    pull.set_defaults(run=_pull)

    plan = commands.add_parser("plan", help="print what pull would do")
    _add_selection(plan, several=False)
    plan.set_defaults(run=_plan)

    lock = commands.add_parser("lock", help="pin models.toml in models.lock")
    _add_manifest(lock)
    lock.add_argument("--upgrade", action="store_true", help="pin the newest revisions")
    lock.set_defaults(run=_lock)

    sync = commands.add_parser("sync", help="make this machine match models.lock")
    _add_manifest(sync)
    sync.add_argument("--frozen", action="store_true", help="fail if models.lock is stale")
    sync.set_defaults(run=_sync)

    for name, text, run in (
        ("verify", "hash what is stored, offline", _verify),
        ("repair", "fetch again what is broken", _repair),
    ):
        command = commands.add_parser(name, help=text)
        command.add_argument("repo", nargs="*", metavar="REPO[@REV]", help="default: everything")
        command.add_argument(
            "--local-dir", type=folder, metavar="D", help="a folder of your choice"
        )
        command.set_defaults(run=run)

    ls = commands.add_parser("ls", help="list what is stored, and where")
    ls.set_defaults(run=_ls)

    collect = commands.add_parser(
        "collect", help="remove what nobody needs: interrupted downloads, files of no revision"
    )
    collect.add_argument("--old-revisions", action="store_true",
                         help="also revisions that no branch, tag or request names")  # fmt: skip
    collect.add_argument("--dry-run", action="store_true", help="only say what would go")
    collect.set_defaults(run=_collect)


def _add_selection(parser: argparse.ArgumentParser, *, several: bool) -> None:
    count = "+" if several else None
    parser.add_argument("repo", nargs=count, metavar="REPO[@REV]",
                        help="OWNER/NAME, datasets/OWNER/NAME or spaces/OWNER/NAME")  # fmt: skip
    parser.add_argument("--revision", metavar="REV", help="branch, tag or commit")
    parser.add_argument("--local-dir", type=folder, metavar="D",
                        help="put the files into this folder instead of the home")  # fmt: skip
    parser.add_argument("--include", action="append", default=[], metavar="P",
                        help="bring only files matching this pattern (repeatable)")  # fmt: skip
    parser.add_argument("--exclude", action="append", default=[], metavar="P",
                        help="leave out files matching this pattern (repeatable)")  # fmt: skip


def _add_manifest(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--manifest", type=Path, default=Path("models.toml"), metavar="FILE",
                        help="default: models.toml; the lock lies beside it")  # fmt: skip


def _wanted(args: argparse.Namespace, repo: str) -> Wanted:
    from holdfast.provision import Wanted

    ref = parse_ref(repo, args.revision)
    folder = args.local_dir.absolute() if args.local_dir is not None else None
    return Wanted(ref, tuple(args.include), tuple(args.exclude), folder)


def _pull(args: argparse.Namespace, context: Context) -> int:
    wanted = [_wanted(args, repo) for repo in args.repo]
    if len(wanted) > 1 and args.local_dir is not None:
        from holdfast.errors import ReferenceInvalid

        raise ReferenceInvalid(
            "several repositories cannot share one --local-dir",
            why="their files would be mixed",
            hint=f"holdfast pull {args.repo[0]} --local-dir {args.local_dir / 'NAME'}",
        )
    provisioner = context.provisioner()
    if args.dry_run:
        _show_plans([provisioner.plan(item) for item in wanted], context)
        return 0
    results = []
    for item in wanted:
        pulled = provisioner.pull(item)
        results.append({"repo": str(item.ref.repo), **pulled.to_dict()})
        context.reporter.close()
        context.say(
            f"{item.ref}: {_count(pulled.files, 'file')}, "
            f"{size_text(pulled.bytes_fetched)} fetched, "
            f"{size_text(pulled.bytes_reused)} reused, {pulled.strategy}, {pulled.seconds:.2f} s"
        )
        if not context.json:
            context.result_path(pulled.path)
    if context.json:
        context.result_json(results[0] if len(results) == 1 else {"models": results})
    return 0


def _plan(args: argparse.Namespace, context: Context) -> int:
    _show_plans([context.provisioner().plan(_wanted(args, args.repo))], context)
    return 0


def _show_plans(plans: list[Plan], context: Context) -> None:
    if context.json:
        shown = [plan.to_dict() for plan in plans]
        context.result_json(shown[0] if len(shown) == 1 else {"models": shown})
        return
    for plan in plans:
        context.result(f"{plan.ref} is {plan.commit}")
        context.result(f"to {plan.root}")
        for file in plan.files:
            context.result(
                f"  {size_text(file.entry.size):>10}  {file.source:<10}  {file.strategy:<8}  "
                f"{file.entry.path}"
            )
        context.result(
            f"{_count(len(plan.files), 'file')}: {size_text(plan.bytes_fetched)} to fetch in "
            f"{_count(plan.requests, 'request')}, {size_text(plan.bytes_reused)} already here, "
            f"{size_text(plan.space_needed)} of space needed"
        )
        for path, why in plan.problems:
            context.result(f"  cannot be stored: {path!r}: {why}")


def _lock(args: argparse.Namespace, context: Context) -> int:
    from holdfast.provision import lock_models, read_manifest

    requests, unknown = read_manifest(args.manifest)
    for key in unknown:
        context.say(f"warning: {args.manifest}: {key} means nothing and is ignored")
    path = args.manifest.with_suffix(".lock")
    lock = lock_models(context.provisioner(), requests, path, upgrade=args.upgrade)
    rows = [
        {"name": m.request.name, "repo": str(m.request.ref.repo), "commit": m.commit,
         "files": len(m.files), "bytes": sum(f.size for f in m.files)}
        for m in lock.models
    ]  # fmt: skip
    if context.json:
        context.result_json({"lock": str(path), "models": rows})
    else:
        for row in rows:
            context.result(f"{row['name']}  {row['repo']}@{row['commit']}  {row['files']} files")
    return 0


def _sync(args: argparse.Namespace, context: Context) -> int:
    from holdfast.provision import sync_models

    results = sync_models(
        context.provisioner(),
        args.manifest,
        args.manifest.with_suffix(".lock"),
        frozen=args.frozen,
        announce=context.say,
    )
    context.reporter.close()
    if context.json:
        rows = [{"name": request.name, **pulled.to_dict()} for request, pulled in results]
        context.result_json({"models": rows})
    else:
        for request, pulled in results:
            context.result(f"{request.name}  {pulled.path}")
    return 0


def _verify(args: argparse.Namespace, context: Context) -> int:
    from holdfast.provision import verify

    refs = [parse_ref(repo) for repo in args.repo]
    report = verify(context.provisioner(), refs, local_dir=args.local_dir)
    return _show_report(report, context)


def _show_report(report: Report, context: Context) -> int:
    if context.json:
        context.result_json(report.to_dict())
    else:
        for bad in report.bad:
            context.result(str(bad))
        for ref in report.unlisted:
            context.say(f"warning: {ref}: no listing is stored, so nothing could be verified")
        rate = report.size / report.seconds if report.seconds else 0.0
        context.say(
            f"{_count(report.files, 'file')} ({size_text(report.size)}) of "
            f"{_count(report.revisions, 'revision')} hashed "
            f"in {report.seconds:.2f} s ({rate / 1e6:.0f} MB/s): {len(report.bad)} bad"
        )
    return 6 if report.bad else 0


def _repair(args: argparse.Namespace, context: Context) -> int:
    from holdfast.provision import repair

    refs = [parse_ref(repo) for repo in args.repo]
    report, brought = repair(
        context.provisioner(), refs, local_dir=args.local_dir, report=context.reporter
    )
    context.reporter.close()
    if context.json:
        mended = [pulled.to_dict() for pulled in brought]
        context.result_json({**report.to_dict(), "repaired": mended})
        return 6 if report.bad else 0
    for pulled in brought:
        context.result(f"repaired {_count(pulled.files, 'file')} of {pulled.path}")
    return _show_report(report, context)


def _ls(args: argparse.Namespace, context: Context) -> int:
    del args
    from holdfast.provision import stored_models

    rows = stored_models(context.provisioner().places)
    if context.json:
        context.result_json({"models": [row.to_dict() for row in rows]})
        return 0
    if not rows:
        context.say("nothing is stored yet: holdfast pull OWNER/NAME")
    for row in rows:
        state = "complete" if row.complete else f"{row.present} of {_count(row.files, 'file')}"
        state = state if row.known else f"{_count(row.present, 'file')}, no listing kept"
        names = ", ".join(row.refs) or "-"
        licence = row.licence or "no licence stated"
        context.result(
            f"{row.repo}  {names}  {row.commit[:12]}  {size_text(row.size)}  {state}  {licence}  "
            f"{row.path}"
        )
    return 0


def _collect(args: argparse.Namespace, context: Context) -> int:
    from holdfast.provision import collect

    collected = collect(
        context.provisioner().places.home,
        old_revisions=args.old_revisions,
        dry_run=args.dry_run,
        report=context.reporter,
    )
    if context.json:
        context.result_json(
            {
                "dry_run": args.dry_run,
                "bytes": collected.size,
                "items": [
                    {"path": str(item.path), "kind": item.kind, "bytes": item.size}
                    for item in collected.items
                ],
            }
        )
        return 0
    for item in collected.items:
        context.result(f"{item.kind}  {size_text(item.size)}  {item.path}")
    one = len(collected.items) == 1
    verb = "would be" if args.dry_run else "was" if one else "were"
    context.say(
        f"{_count(len(collected.items), 'item')}, {size_text(collected.size)}, {verb} removed"
    )
    return 0


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"
