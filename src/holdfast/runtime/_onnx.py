"""onnxruntime, imported so that it neither calls home nor writes outside the model home."""

from __future__ import annotations

import os
from typing import Any

from holdfast.errors import MissingExtra

__all__ = ["onnxruntime"]


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
