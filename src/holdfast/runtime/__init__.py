"""Models in memory: what state each is in, and the work that brings it to ``ready``.

The runtime is handed folders and never learns how they arrived.
"""

from holdfast.runtime._hardware import Machine, Needs, process_memory_mb, this_machine
from holdfast.runtime._spec import (
    Engine,
    ModelFailed,
    ModelInUse,
    ModelNotReady,
    ModelSpec,
    Provided,
    UnknownModel,
)
from holdfast.runtime._states import ErrorInfo, ModelState, ModelStatus, Transfer
from holdfast.runtime._supervisor import Backoff, Supervisor, retry_after_s

__all__ = [
    "Backoff",
    "Engine",
    "ErrorInfo",
    "Machine",
    "ModelFailed",
    "ModelInUse",
    "ModelNotReady",
    "ModelSpec",
    "ModelState",
    "ModelStatus",
    "Needs",
    "Provided",
    "Supervisor",
    "Transfer",
    "UnknownModel",
    "process_memory_mb",
    "retry_after_s",
    "this_machine",
]
