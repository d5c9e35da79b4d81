"""Where models may live: candidates, probes, atomic files, and locks that were proven."""

from holdfast.places._atomic import (
    Modes,
    Owner,
    describe_error,
    fsync,
    make_folder,
    open_new,
    open_shared,
    owner_of,
    released_name,
    replace,
    short_stem,
    sweep,
    sync_folder,
    sync_folders,
    temporary_name,
    write_file,
)
from holdfast.places._candidates import Candidate, Surroundings, candidates
from holdfast.places._data import data_folder
from holdfast.places._homes import Considered, Home, SearchPath
from holdfast.places._locks import Taken, hold, take_turn, try_lock
from holdfast.places._probe import Probe, Strategy, can_hold, free_space, probe
from holdfast.places._system import (
    clone,
    fallocate,
    filesystem_of,
    is_folder,
    start_writeback,
    surroundings,
)

__all__ = [
    "Candidate",
    "Considered",
    "Home",
    "Modes",
    "Owner",
    "Probe",
    "SearchPath",
    "Strategy",
    "Surroundings",
    "Taken",
    "can_hold",
    "candidates",
    "clone",
    "data_folder",
    "describe_error",
    "fallocate",
    "filesystem_of",
    "free_space",
    "fsync",
    "hold",
    "is_folder",
    "make_folder",
    "open_new",
    "open_shared",
    "owner_of",
    "probe",
    "released_name",
    "replace",
    "short_stem",
    "start_writeback",
    "surroundings",
    "sweep",
    "sync_folder",
    "sync_folders",
    "take_turn",
    "temporary_name",
    "try_lock",
    "write_file",
]
