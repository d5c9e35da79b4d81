"""Bringing models: plan (pure), apply, verify, repair, collect; locking and syncing."""

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
