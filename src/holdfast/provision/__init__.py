"""Bringing models: plan (pure), apply, verify, repair, collect; locking and syncing.

What is named here is imported when it is first asked for: a pull needs nothing of collecting.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from holdfast.provision._collect import Collected, collect
    from holdfast.provision._listing import StoredModel, stored_models
    from holdfast.provision._overlay import Overlaid, overlay
    from holdfast.provision._plan import Plan, PlannedFile, select
    from holdfast.provision._pull import Provisioner, Pulled
    from holdfast.provision._resolve import Wanted
    from holdfast.provision._sync import lock_models, read_lock, read_manifest, sync_models
    from holdfast.provision._verify import BadFile, Report, repair, verify

__all__ = [
    "BadFile",
    "Collected",
    "Overlaid",
    "Plan",
    "PlannedFile",
    "Provisioner",
    "Pulled",
    "Report",
    "StoredModel",
    "Wanted",
    "collect",
    "lock_models",
    "overlay",
    "read_lock",
    "read_manifest",
    "repair",
    "select",
    "stored_models",
    "sync_models",
    "verify",
]

_MODULES = {
    "_collect": ("Collected", "collect"),
    "_listing": ("StoredModel", "stored_models"),
    "_overlay": ("Overlaid", "overlay"),
    "_plan": ("Plan", "PlannedFile", "select"),
    "_pull": ("Provisioner", "Pulled"),
    "_resolve": ("Wanted",),
    "_sync": ("lock_models", "read_lock", "read_manifest", "sync_models"),
    "_verify": ("BadFile", "Report", "repair", "verify"),
}


def __getattr__(name: str) -> object:
    for module, names in _MODULES.items():
        if name in names:
            return getattr(import_module(f"{__name__}.{module}"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
