"""Loaded by every Python below ``holdfast run``; the sitecustomize it hides is run after it.

It must work in any Python 3.8 or newer, with or without Holdfast installed, and never keep one from
starting: what goes wrong here is said in one line.
"""

from __future__ import annotations

import os
import sys


def _prepare() -> None:
    folders = os.environ.get("_HOLDFAST_LINKS", "")
    if folders:
        import _holdfast_links  # type: ignore[import-not-found]

        fallback = _holdfast_links.installed() or _holdfast_links.LinkFallback(())
        fallback.add(folders.split(os.pathsep))
        fallback.install()
    import _holdfast_hub  # type: ignore[import-not-found]

    _holdfast_hub.install()


def _chain(here: str) -> None:
    """Run the sitecustomize that would have been loaded without us."""
    from _frozen_importlib_external import PathFinder  # importlib's, without importing that

    others = [path for path in sys.path if os.path.abspath(path or os.curdir) != here]
    spec = PathFinder.find_spec("sitecustomize", others)
    if spec is None or spec.loader is None:
        return
    from importlib.util import module_from_spec

    module = module_from_spec(spec)
    sys.modules["sitecustomize"] = module
    spec.loader.exec_module(module)


def _main() -> None:
    here = os.path.dirname(os.path.abspath(__file__))
    try:
        _prepare()
    except Exception as error:  # noqa: BLE001 - the program below matters more than we do
        sys.stderr.write(f"holdfast: not in effect here: {error!r}\n")
    _chain(here)


_main()
