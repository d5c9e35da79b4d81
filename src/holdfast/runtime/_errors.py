"""What can be wrong with asking a model for something."""

from __future__ import annotations

from pathlib import Path

from holdfast.errors import HoldfastError

__all__ = [
    "CalledOff",
    "DeadlineExceeded",
    "EngineAnswerInvalid",
    "EngineFailed",
    "EngineHung",
    "EngineUnusable",
    "HardwareMissing",
    "LicenceRefused",
    "MemoryBudgetExceeded",
    "MemoryBudgetTooSmall",
    "ModelBusy",
    "ModelFailed",
    "ModelInUse",
    "ModelNotReady",
    "ShuttingDown",
    "UnknownModel",
    "WorkerDied",
    "cannot_load",
]


class CalledOff(BaseException):
    """The work is no longer wanted. Not an Exception: nothing on the way may take it for one."""


class ModelNotReady(HoldfastError):
    """A model that cannot answer yet. ``facts["retry_after_s"]`` says when to ask again."""

    code = "model-not-ready"
    exit_code = 10
    http_status = 503


class ModelFailed(HoldfastError):
    """A model whose code raised something unforeseen while it was brought up."""

    code = "model-failed"
    exit_code = 10
    http_status = 503


class ModelInUse(HoldfastError):
    """A model that cannot be unloaded because it is answering."""

    code = "model-in-use"
    exit_code = 10
    http_status = 409


class UnknownModel(HoldfastError):
    """A name that is no configured model's."""

    code = "unknown-model"
    exit_code = 2
    http_status = 404


class ModelBusy(HoldfastError):
    """More requests for a model than may wait; ``facts["retry_after_s"]`` as above."""

    code = "model-busy"
    exit_code = 10
    http_status = 429


class DeadlineExceeded(HoldfastError):
    """A request that a model did not answer within its time."""

    code = "deadline-exceeded"
    exit_code = 10
    http_status = 504


class EngineFailed(HoldfastError):
    """A model that raised something unforeseen over a request."""

    code = "engine-failed"
    exit_code = 10
    http_status = 500


class EngineAnswerInvalid(HoldfastError):
    """A model whose answer is not what its kind answers."""

    code = "engine-answer-invalid"
    exit_code = 10
    http_status = 500


class EngineHung(HoldfastError):
    """A model that went on with a request long after its time was over."""

    code = "engine-hung"
    exit_code = 10
    http_status = 503


class EngineUnusable(HoldfastError):
    """A model folder that its engine cannot load."""

    code = "engine-unusable"
    exit_code = 10
    http_status = 503


class WorkerDied(HoldfastError):
    """A process that a model ran in, and that ended in the middle of a request."""

    code = "worker-died"
    exit_code = 10
    http_status = 503


class ShuttingDown(HoldfastError):
    """A request to a service that is ending."""

    code = "shutting-down"
    exit_code = 10
    http_status = 503


class HardwareMissing(HoldfastError):
    """A model that this machine has not the hardware for."""

    code = "hardware-missing"
    exit_code = 10
    http_status = 503


class LicenceRefused(HoldfastError):
    """A model whose licence is none of those that the settings allow."""

    code = "licence-refused"
    exit_code = 10
    http_status = 503


class MemoryBudgetTooSmall(HoldfastError):
    """A model that needs more memory than all models together may take."""

    code = "memory-budget-too-small"
    exit_code = 10
    http_status = 503


class MemoryBudgetExceeded(HoldfastError):
    """A model for which the memory that models may take together does not suffice."""

    code = "memory-budget-exceeded"
    exit_code = 10
    http_status = 503


def cannot_load(
    path: Path, error: Exception, as_what: str = "", device: str = ""
) -> EngineUnusable:
    """Return what to say of a file or a folder that a library could not read.

    Args:
        path: of it.
        error: the library's.
        as_what: what it should have been.
        device: that it should have been loaded on, where that may be why.
    """
    first_line = str(error).strip().partition("\n")[0]
    return EngineUnusable(
        f"{path} cannot be loaded"
        + (as_what and f" as {as_what}")
        + (device and f" on {device!r}"),
        why=f"{type(error).__name__}: {first_line}",
        hint="holdfast verify, then holdfast repair"
        + ("; or set its device to 'cpu'" if device else ""),
    )
