"""How one stored file comes to be at several paths: link, hard link, reflink, move, copy."""

from holdfast.store.materialise._ways import (
    REFUSALS,
    WAYS,
    copy,
    hardlink,
    is_refusal,
    materialise,
    move,
    reflink,
    symlink,
)

__all__ = [
    "REFUSALS",
    "WAYS",
    "copy",
    "hardlink",
    "is_refusal",
    "materialise",
    "move",
    "reflink",
    "symlink",
]
