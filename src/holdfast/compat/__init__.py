"""Making libraries and programs that we did not write work here: variables, links, overlay.

What is named here is imported when it is first asked for: `holdfast run` must start at once.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from holdfast.compat._activate import Activation, activate
    from holdfast.compat._prepare import LINKS_VARIABLE, Prepared, prepare, show_layers
    from holdfast.compat._program import become
    from holdfast.compat._shells import SHELLS, render
    from holdfast.compat._variables import HUB_VARIABLES, OFFLINE, VARIABLES, Variable

__all__ = [
    "HUB_VARIABLES",
    "LINKS_VARIABLE",
    "OFFLINE",
    "SHELLS",
    "VARIABLES",
    "Activation",
    "Prepared",
    "Variable",
    "activate",
    "become",
    "prepare",
    "render",
    "show_layers",
]

_MODULES = {
    "_activate": ("Activation", "activate"),
    "_prepare": ("LINKS_VARIABLE", "Prepared", "prepare", "show_layers"),
    "_program": ("become",),
    "_shells": ("SHELLS", "render"),
    "_variables": ("HUB_VARIABLES", "OFFLINE", "VARIABLES", "Variable"),
}


def __getattr__(name: str) -> object:
    for module, names in _MODULES.items():
        if name in names:
            return getattr(import_module(f"{__name__}.{module}"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
