"""The Hugging Face cache on disk, and plain folders: state, placing, and what may go."""

from holdfast.store._card import licence_of
from holdfast.store._check import State, file_digest, state_of
from holdfast.store._derived import Derivation, derived
from holdfast.store._folder import FolderTarget
from holdfast.store._garbage import Garbage, find_garbage
from holdfast.store._layout import CACHEDIR_TAG, RepoFolder, repositories
from holdfast.store._names import forbidden, impossible
from holdfast.store._seals import Seals
from holdfast.store._target import CacheTarget, Origin, Target, flush

__all__ = [
    "CACHEDIR_TAG",
    "CacheTarget",
    "Derivation",
    "FolderTarget",
    "Garbage",
    "Origin",
    "RepoFolder",
    "Seals",
    "State",
    "Target",
    "derived",
    "file_digest",
    "find_garbage",
    "flush",
    "forbidden",
    "impossible",
    "licence_of",
    "repositories",
    "state_of",
]
