"""Machine-learning models from the Hugging Face Hub to loaded and answering, on any machine.

    >>> import holdfast
    >>> folder = holdfast.pull("openai/whisper-tiny")        # doctest: +SKIP

The functions read the environment's settings each time they are called; keyword arguments win.
What all of them need is imported with the package, everything heavier inside them.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from holdfast import places as places
from holdfast._version import __version__
from holdfast.config import Settings
from holdfast.errors import HoldfastError
from holdfast.events import Notice, silent

if TYPE_CHECKING:
    from holdfast.checks import Finding
    from holdfast.compat import Activation
    from holdfast.events import Event, Reporter
    from holdfast.provision import Plan, Provisioner, Pulled, Report, Wanted

__all__ = ["HoldfastError", "__version__", "activate", "doctor", "plan", "pull", "repair", "verify"]


def activate(*, report: Reporter | None = None, **settings: Any) -> Activation:
    """Make the model libraries of this process, and of processes it starts, work here.

    Finds the home, sets every library's variable, lets hard links stand in where symbolic links
    are refused, and shows what read-only layers hold: what `holdfast run` does for a program.
    Call it before the libraries are imported; one that has read its variable already is told anew
    where that is known to work. The result takes everything back (``deactivate()``, or ``with``).

    Args:
        report: told what happens (`holdfast.events`); by default logged as ``holdfast.compat``.
        settings: fields of `holdfast.config.Settings`, such as ``home`` or ``offline``.

    Raises:
        NoUsableHome: models can live nowhere here.
        TooLate: a library has read its variable and cannot be told anew; nothing was changed.
    """
    from holdfast.compat import activate as run

    return run(Settings.from_env(os.environ, **settings), os.environ, report or _logged)


def pull(
    repo: str,
    *,
    revision: str | None = None,
    include: str | Sequence[str] = (),
    exclude: str | Sequence[str] = (),
    local_dir: str | Path | None = None,
    report: Reporter | None = None,
    **settings: Any,
) -> Path:
    """Bring a repository to this machine, verified, and return the folder that holds its files.

    Args:
        repo: ``OWNER/NAME``, ``datasets/OWNER/NAME`` or ``spaces/OWNER/NAME``; ``@REVISION`` may
            follow.
        revision: branch, tag or commit; ``main`` by default.
        include: patterns of files to bring; all, if empty.
        exclude: patterns of files to leave out.
        local_dir: a folder to put the files in, instead of the home's cache.
        report: told what happens (`holdfast.events`).
        settings: fields of `holdfast.config.Settings`, such as ``home`` or ``offline``.

    Raises:
        HoldfastError: with a code, the reason and a hint.
    """
    wanted = _wanted(repo, revision, include, exclude, local_dir)
    return _provisioner(settings, report).pull(wanted).path


def plan(
    repo: str,
    *,
    revision: str | None = None,
    include: str | Sequence[str] = (),
    exclude: str | Sequence[str] = (),
    local_dir: str | Path | None = None,
    report: Reporter | None = None,
    **settings: Any,
) -> Plan:
    """Return what `pull` would do now, without doing it; arguments and errors as there."""
    wanted = _wanted(repo, revision, include, exclude, local_dir)
    return _provisioner(settings, report).plan(wanted)


def verify(
    *repos: str,
    local_dir: str | Path | None = None,
    report: Reporter | None = None,
    **settings: Any,
) -> Report:
    """Hash what is stored of some repositories, or of all, and return what is not right.

    No network is used.

    Raises:
        HoldfastError: something named is not stored here.
    """
    from holdfast.provision import verify as run

    refs = [_ref(repo) for repo in repos]
    folder = Path(local_dir) if local_dir is not None else None
    return run(_provisioner(settings, report), refs, local_dir=folder)


def repair(
    *repos: str,
    local_dir: str | Path | None = None,
    report: Reporter | None = None,
    **settings: Any,
) -> tuple[Report, list[Pulled]]:
    """Fetch again what `verify` finds wrong; return the report afterwards, and what was brought.

    Raises:
        HoldfastError: the Hub cannot be reached, or the home cannot be written.
    """
    from holdfast.provision import repair as run

    folder = Path(local_dir) if local_dir is not None else None
    provisioner = _provisioner(settings, report)
    refs = [_ref(repo) for repo in repos]
    return run(provisioner, refs, local_dir=folder, report=report or silent)


def doctor(**settings: Any) -> list[Finding]:
    """Look at everything that breaks downloads or loading here; the gravest finding comes first."""
    from holdfast.doctor import diagnose

    return diagnose(**settings)


def _logged(event: Event) -> None:
    import logging

    if isinstance(event, Notice):
        level = logging.getLevelNamesMapping()[event.level.upper()]
        logging.getLogger("holdfast.compat").log(level, event.message)


def _ref(repo: str, revision: str | None = None) -> Any:
    from holdfast.refs import parse_ref

    return parse_ref(repo, revision)


def _wanted(
    repo: str,
    revision: str | None,
    include: str | Sequence[str],
    exclude: str | Sequence[str],
    local_dir: str | Path | None,
) -> Wanted:
    from holdfast.provision import Wanted

    folder = Path(local_dir).absolute() if local_dir is not None else None
    return Wanted(_ref(repo, revision), _patterns(include), _patterns(exclude), folder)


def _patterns(given: str | Sequence[str]) -> tuple[str, ...]:
    return (given,) if isinstance(given, str) else tuple(given)


def _provisioner(settings: dict[str, Any], report: Reporter | None) -> Provisioner:
    from holdfast.provision import Provisioner

    chosen = Settings.from_env(os.environ, **settings)
    return Provisioner(chosen, os.environ, report or silent)
