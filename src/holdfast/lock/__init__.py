"""``models.toml`` and ``models.lock``: model and codec, both pure."""

from holdfast.lock._codec import dump_lock, parse_lock, parse_manifest
from holdfast.lock._model import Lock, LockedModel, ModelRequest, pointer_id, stale_reasons

__all__ = [
    "Lock",
    "LockedModel",
    "ModelRequest",
    "dump_lock",
    "parse_lock",
    "parse_manifest",
    "pointer_id",
    "stale_reasons",
]
