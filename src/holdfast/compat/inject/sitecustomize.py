"""Loaded by every Python below ``holdfast run``; the sitecustomize it hides is run after it.

Any Python must be able to read it; it takes effect in 3.8 and newer, with or without Holdfast, and
never keeps one from starting: what goes wrong here is said in one line.
"""

import os
import sys


def _prepare():  # type: () -> None
    if sys.version_info < (3, 8):
        return
    folders = os.environ.get("_HOLDFAST_LINKS", "")
    if folders:
        import _holdfast_links  # type: ignore[import-not-found]

        fallback = _holdfast_links.installed() or _holdfast_links.LinkFallback(())
        fallback.add(_holdfast_links.unpacked(folders))
        fallback.install()
    import _holdfast_hub  # type: ignore[import-not-found]

    _holdfast_hub.install()


def _chain():  # type: () -> None
    """Run the sitecustomize that would have been loaded without us, or without another of us."""
    try:
        from _frozen_importlib_external import PathFinder  # importlib's, without importing that
    except ImportError:
        return
    ours = os.path.join("{}", "_holdfast_links.py")
    others = [path for path in sys.path if not os.path.isfile(ours.format(path or os.curdir))]
    spec = PathFinder.find_spec("sitecustomize", others)
    if spec is None or spec.loader is None:
        return
    from importlib.util import module_from_spec

    module = module_from_spec(spec)
    sys.modules["sitecustomize"] = module
    spec.loader.exec_module(module)


try:
    _prepare()
except Exception as error:  # noqa: BLE001 - the program below matters more than we do
    sys.stderr.write("holdfast: not in effect here: {!r}\n".format(error))
_chain()
