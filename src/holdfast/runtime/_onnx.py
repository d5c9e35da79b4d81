"""onnxruntime, imported so that it neither calls home nor writes outside the model home."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from holdfast.errors import MissingExtra
from holdfast.runtime._errors import EngineUnusable, cannot_load

__all__ = ["onnx_session", "onnxruntime", "usable_cores"]

_PROVIDERS = {"cpu": "CPUExecutionProvider", "cuda": "CUDAExecutionProvider"}


def onnxruntime(extra: str) -> Any:
    """Return the onnxruntime module with its telemetry off.

    Since 1.31 importing it on Linux makes a device id and a database in the user's cache and
    reports to its maker, unless this variable is set before (ADR 11). A user's own setting wins.

    Args:
        extra: what to install where it is missing.

    Raises:
        MissingExtra: it is not installed.
    """
    os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")
    try:
        import onnxruntime as module
    except ImportError as error:
        raise MissingExtra(
            "this model cannot be run here",
            why=f"{error.name} is not installed",
            hint=f"pip install 'holdfast[{extra}]'",
        ) from error
    module.disable_telemetry_events()
    return module


def onnx_session(path: Path, device: str, extra: str, threads: int | None = None) -> Any:
    """Load a graph.

    Args:
        path: the file.
        device: ``cpu``, or ``cuda:N`` where onnxruntime was built for it.
        extra: what to install where onnxruntime is missing.
        threads: of one run; None for as many as there are cores for us.

    Returns:
        an ``onnxruntime.InferenceSession``.

    Raises:
        EngineUnusable: the file is no graph, or onnxruntime cannot use the device.
        MissingExtra: onnxruntime is not installed.
    """
    runtime = onnxruntime(extra)
    kind, _, number = device.partition(":")
    provider = _PROVIDERS.get(kind)
    if provider not in runtime.get_available_providers():
        raise EngineUnusable(
            f"{path.name} does not run on {device!r}",
            why=f"this onnxruntime has {', '.join(runtime.get_available_providers())}",
            hint="set its device to 'cpu'",
        )
    options = runtime.SessionOptions()
    options.log_severity_level = 3
    # Not tied to the cores, and none that waits busily: other models and requests want them too.
    options.intra_op_num_threads = threads or usable_cores()
    options.inter_op_num_threads = 1
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    chosen: Any = provider if kind == "cpu" else (provider, {"device_id": number or "0"})
    try:
        return runtime.InferenceSession(path.read_bytes(), sess_options=options, providers=[chosen])
    except Exception as error:
        raise cannot_load(path, error) from error


def usable_cores() -> int:
    """Return how many cores this process may use."""
    try:
        return len(os.sched_getaffinity(0))
    except AttributeError:  # not on every system
        return os.cpu_count() or 1
