"""huggingface_hub in a cache that cannot be written: the last complete snapshot, and that is said.

It asks the Hub what a branch is now, then fails to make the folder of a newer revision. Where the
repository's folder cannot be written and holds what the branch was, that answer is withheld, as if
there were no network, and the library's own way for that takes over. Nothing else is changed.
"""

from __future__ import annotations

import os
import sys

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

__all__ = ["install", "remove"]

_TARGETS = ("huggingface_hub.file_download", "huggingface_hub.hf_api")
_said: set[str] = set()
_undo: list[tuple[Any, str, Any]] = []


def install() -> bool:
    """Take effect in huggingface_hub: now where it is imported, else when it will be.

    Returns whether it was not in effect before, by whichever copy of this module.
    """
    if any(type(finder).__name__ == _HoldfastFinder.__name__ for finder in sys.meta_path):
        return False
    sys.meta_path.insert(0, _HoldfastFinder())
    for name in _TARGETS:
        if name in sys.modules:
            _mend(sys.modules[name])
    return True


def remove() -> None:
    """Put everything back."""
    sys.meta_path[:] = [
        finder for finder in sys.meta_path if not isinstance(finder, _HoldfastFinder)
    ]
    while _undo:
        owner, name, original = _undo.pop()
        setattr(owner, name, original)


class _HoldfastFinder:
    """Lets the other finders find a module, and mends it once it has run."""

    @staticmethod
    def find_spec(name: str, path: Any = None, target: Any = None) -> Any:
        if name not in _TARGETS:
            return None
        for finder in sys.meta_path:
            if isinstance(finder, _HoldfastFinder) or not hasattr(finder, "find_spec"):
                continue
            spec = finder.find_spec(name, path, target)
            if spec is not None and spec.loader is not None:
                _wrap_loader(spec.loader)
                return spec
        return None


def _wrap_loader(loader: Any) -> None:
    execute = loader.exec_module

    def exec_module(module: Any) -> None:
        execute(module)
        _mend(module)

    loader.exec_module = exec_module


def _mend(module: Any) -> None:
    # Where a version of the library has not got these, it is left as it is.
    if module.__name__ == _TARGETS[0]:
        _replace(module, "_get_metadata_or_catch_error", _metadata)
    elif hasattr(module, "HfApi"):
        _replace(module.HfApi, "repo_info", _repo_info)


def _replace(owner: Any, name: str, make: Any) -> None:
    original = getattr(owner, name, None)
    if original is None or hasattr(original, "_holdfast"):
        return
    wrapper = make(original)
    wrapper._holdfast = True
    wrapper.__name__, wrapper.__doc__ = name, original.__doc__
    setattr(owner, name, wrapper)
    _undo.append((owner, name, original))


def _metadata(original: Any) -> Any:
    """Wrap what asks the Hub about one file."""

    def ask(*args: Any, **options: Any) -> Any:
        answer = original(*args, **options)
        folder, revision = options.get("storage_folder"), options.get("revision")
        commit = answer[2] if isinstance(answer, tuple) and len(answer) > 2 else None
        if folder and revision and commit and _must_stay(folder, revision, commit):
            return (*(None,) * (len(answer) - 1), _offline(folder, revision, commit))
        return answer

    return ask


def _repo_info(original: Any) -> Any:
    """Wrap what asks the Hub about a revision, for the library's own downloads only."""

    def ask(self: Any, *args: Any, **options: Any) -> Any:
        answer = original(self, *args, **options)
        caller = sys._getframe(1)
        if caller.f_globals.get("__name__", "").startswith("huggingface_hub."):
            folder = caller.f_locals.get("storage_folder") or _folder(options)
            revision, commit = options.get("revision") or "main", getattr(answer, "sha", None)
            if folder and commit and _must_stay(folder, revision, commit):
                raise _offline(folder, revision, commit)
        return answer

    return ask


def _folder(options: Any) -> str:
    repo, kind = options.get("repo_id"), options.get("repo_type") or "model"
    if not repo:
        return ""
    from huggingface_hub import constants  # type: ignore[import-not-found, unused-ignore]

    return os.path.join(str(constants.HF_HUB_CACHE), "--".join([kind + "s", *repo.split("/")]))


def _must_stay(folder: str, revision: str, commit: str) -> bool:
    """Return whether a newer commit cannot be put where an older one is."""
    snapshots = os.path.join(folder, "snapshots")
    if not os.path.isdir(snapshots) or os.access(snapshots, os.W_OK | os.X_OK):
        return False
    if revision == commit or os.path.isdir(os.path.join(snapshots, commit)):
        return False
    return os.path.isdir(os.path.join(snapshots, _known(folder, revision)))


def _known(folder: str, revision: str) -> str:
    try:
        with open(os.path.join(folder, "refs", *revision.split("/")), encoding="ascii") as file:
            return file.read().strip() or os.pardir * 2
    except (OSError, ValueError):
        return os.pardir * 2  # no folder is named so


def _offline(folder: str, revision: str, commit: str) -> Exception:
    from huggingface_hub.errors import (  # type: ignore[import-not-found, unused-ignore]
        OfflineModeIsEnabled,
    )

    text = (
        f"{revision} of {os.path.basename(folder)} has moved to {commit}, and {folder} cannot be "
        f"written: the last complete revision, {_known(folder, revision)}, is used"
    )
    if text not in _said:
        _said.add(text)
        import logging

        logging.getLogger("holdfast.compat").warning(text)
    error: Exception = OfflineModeIsEnabled(text)
    return error
