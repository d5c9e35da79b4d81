"""Models in memory: what state each is in, the work that brings it to ``ready``, and its requests.

The runtime is handed folders and never learns how they arrived.
"""

from holdfast.runtime._apart import done_apart
from holdfast.runtime._budget import Budget
from holdfast.runtime._errors import (
    CalledOff,
    DeadlineExceeded,
    EngineAnswerInvalid,
    EngineFailed,
    EngineHung,
    EngineUnusable,
    HardwareMissing,
    LicenceRefused,
    MemoryBudgetExceeded,
    MemoryBudgetTooSmall,
    ModelBusy,
    ModelFailed,
    ModelInUse,
    ModelNotReady,
    ShuttingDown,
    UnknownModel,
    WorkerDied,
    cannot_load,
)
from holdfast.runtime._hardware import (
    Gpu,
    Machine,
    Needs,
    choose_device,
    process_memory_mb,
    this_machine,
)
from holdfast.runtime._jobs import Batch, Job, Limits, check_wanted
from holdfast.runtime._onnx import onnx_session, onnxruntime, usable_cores
from holdfast.runtime._slot import Backoff, not_ready_error, retry_after_s
from holdfast.runtime._spec import Engine, ModelSpec, Provided
from holdfast.runtime._states import ErrorInfo, ModelState, ModelStatus, Transfer
from holdfast.runtime._steps import Steps, carry_out
from holdfast.runtime._supervisor import Supervisor, shutting_down

__all__ = [
    "Backoff",
    "Batch",
    "Budget",
    "CalledOff",
    "DeadlineExceeded",
    "Engine",
    "EngineAnswerInvalid",
    "EngineFailed",
    "EngineHung",
    "EngineUnusable",
    "ErrorInfo",
    "Gpu",
    "HardwareMissing",
    "Job",
    "LicenceRefused",
    "Limits",
    "Machine",
    "MemoryBudgetExceeded",
    "MemoryBudgetTooSmall",
    "ModelBusy",
    "ModelFailed",
    "ModelInUse",
    "ModelNotReady",
    "ModelSpec",
    "ModelState",
    "ModelStatus",
    "Needs",
    "Provided",
    "ShuttingDown",
    "Steps",
    "Supervisor",
    "Transfer",
    "UnknownModel",
    "WorkerDied",
    "cannot_load",
    "carry_out",
    "check_wanted",
    "choose_device",
    "done_apart",
    "not_ready_error",
    "onnx_session",
    "onnxruntime",
    "process_memory_mb",
    "retry_after_s",
    "shutting_down",
    "this_machine",
    "usable_cores",
]
