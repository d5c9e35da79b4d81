"""What a person named: files, patterns, folders; and where what comes of them goes."""

from __future__ import annotations

import glob
import os
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import NamedTuple

from holdfast.errors import ConfigInvalid

__all__ = ["Kind", "found_sources", "outputs", "written_over"]


class Kind(NamedTuple):
    """What is looked for.

    Attributes:
        noun: what it is called, such as ``recording``.
        command: that takes it.
        suffixes: what folders and patterns are searched for; a file that is named may have any.
        made: suffixes of what comes of it.
    """

    noun: str
    command: str
    suffixes: frozenset[str]
    made: frozenset[str]


def found_sources(
    named: Sequence[str], kind: Kind
) -> tuple[list[tuple[Path, Path]], list[ConfigInvalid]]:
    """Return files, each once, and each with the folder that it was found in.

    Patterns are matched here too: not every shell does it.

    Returns:
        the files, and what is wrong with names of which there are none.
    """
    found: dict[str, tuple[Path, Path]] = {}
    wrong = []
    for name in named:
        path = Path(name)
        if path.is_dir():
            own = dict.fromkeys(_of_kind(path.rglob("*"), kind), path)
        elif path.is_file():
            own = {path: path.parent}
        else:
            matching = map(Path, glob.glob(name, recursive=True))  # noqa: PTH207
            own = {each: each.parent for each in _of_kind(matching, kind)}
        if not own:
            wrong.append(_none(name, path, kind))
        for each, folder in own.items():
            found.setdefault(os.path.abspath(each), (each, folder))  # noqa: PTH100 - and no ".."
    return list(found.values()), wrong


def _none(name: str, path: Path, kind: Kind) -> ConfigInvalid:
    why, hint = "there is no such file", f"holdfast {kind.command} {kind.noun.upper()} ..."
    if path.is_dir():
        why = "it is a folder without any"
    elif path.exists() or name == "-":
        why = f"it is a pipe or a device, and a {kind.noun} must be a file: one goes back in it"
        suffix = min(kind.suffixes)
        hint = f"cat PIPE > {kind.noun}{suffix}; holdfast {kind.command} {kind.noun}{suffix}"
    return ConfigInvalid(f"there is no {kind.noun} {name}", why=why, hint=hint)


def _of_kind(paths: Iterable[Path], kind: Kind) -> list[Path]:
    return [
        each for each in sorted(paths) if each.suffix.lower() in kind.suffixes and each.is_file()
    ]


def outputs(
    sources: Sequence[tuple[Path, Path]],
    named: Sequence[str],
    output: Path | None,
    suffix: str,
    kind: Kind,
) -> list[Path | None]:
    """Return the file for what comes of each source; None: the terminal.

    Where two would write one file, both keep their own suffix in its name; where that is
    not enough, the folders that they are in are made in the output, too.

    Args:
        sources: of `found_sources`.
        named: as a person did.
        output: a file, or a folder; None: beside each of several, and the terminal for one.
        suffix: of what is written.
        kind: of the sources.

    Raises:
        ConfigInvalid: several would go into one file, or one over a source.
    """
    one = len(sources) == 1 and not Path(named[0]).is_dir()
    if one and output is None:
        return [None]
    if one and output is not None and output.suffix and not output.is_dir():
        if output.suffix.lower() in kind.suffixes - kind.made:
            raise _written_over(output, kind)
        targets = [output]
    else:
        targets = _in_folders(sources, output, suffix, kind)
    for target in targets:
        if any(_is_one(target, path) for path, _ in sources):
            raise _written_over(target, kind)
    return [*targets]


def _in_folders(
    sources: Sequence[tuple[Path, Path]], output: Path | None, suffix: str, kind: Kind
) -> list[Path]:
    if output is not None and not output.is_dir():
        known = output.suffix.lower() in kind.made | kind.suffixes
        if known or output.is_file():
            raise ConfigInvalid(
                f"{output} is a file", why="what comes of several goes into as many, or a folder's",
                hint="-o FOLDER",
            )  # fmt: skip
    targets = _targets(sources, output, suffix)
    if len(set(targets)) < len(targets) and output is not None:
        paths = [path.absolute() for path, _ in sources]
        top = Path(os.path.commonpath([path.parent for path in paths]))
        targets = _targets([(path, top) for path in paths], output, suffix)
    twice = next((each for each in targets if targets.count(each) > 1), None)
    if twice is not None:
        both = [str(path) for (path, _), own in zip(sources, targets, strict=True) if own == twice]
        raise ConfigInvalid(
            f"{' and '.join(both)} would both go into {twice}", why="one of them would be lost",
            hint="name them one by one, each with its own -o FILE",
        )  # fmt: skip
    return targets


def _written_over(output: Path, kind: Kind) -> ConfigInvalid:
    return ConfigInvalid(
        f"{output} would be written over", why=f"it is a {kind.noun}, or has a {kind.noun}'s name",
        hint="-o TEXT.txt",
    )  # fmt: skip


def written_over(target: Path) -> ConfigInvalid:
    """Return what to say of a file of somebody else's that has an output's name."""
    return ConfigInvalid(
        f"{target} would be written over", why="it was not written by this command",
        hint="--again writes over it; -o FOLDER leaves it alone",
    )  # fmt: skip


def _is_one(output: Path, path: Path) -> bool:
    return output.exists() and path.exists() and output.samefile(path)


def _targets(sources: Sequence[tuple[Path, Path]], output: Path | None, suffix: str) -> list[Path]:
    short = [_target(path, around, output, f".{suffix}") for path, around in sources]
    return [
        _target(path, around, output, f"{path.suffix}.{suffix}") if short.count(own) > 1 else own
        for own, (path, around) in zip(short, sources, strict=True)
    ]


def _target(path: Path, around: Path, output: Path | None, suffix: str) -> Path:
    name = f"{path.stem}{suffix}"
    if output is None:
        return path.with_name(name)
    return output / path.relative_to(around).with_name(name)
