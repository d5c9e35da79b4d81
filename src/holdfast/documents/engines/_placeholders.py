"""Docling where torch is not installed.

Some of its modules import torch although nothing here uses them without it: one reads audio, others
find tables with models. In their places stand modules that say so when they are used. Where torch
is installed nothing is replaced.
"""

from __future__ import annotations

import sys
from importlib.util import find_spec
from types import ModuleType
from typing import Any, ClassVar, NoReturn

from holdfast.errors import MissingExtra

__all__ = ["stand_in_for_torch"]

_TABLES = "docling.models.stages.table_structure.table_structure_model"
_DEVICES = "docling.utils.accelerator_utils"
_STAND_INS = {
    "docling.pipeline.asr_transformers": "TransformersAsrDecoder",
    f"{_TABLES}_granite_vision": "GraniteVisionTableStructureModel",
    f"{_TABLES}_v2": "TableStructureModelV2",
}


def stand_in_for_torch() -> bool:
    """Put the stand-ins in place where torch is missing; return whether that was so."""
    if find_spec("torch") is not None:
        return False
    for name, kind in _STAND_INS.items():
        if name not in sys.modules:
            module = ModuleType(name)
            setattr(module, kind, _stand_in(kind))
            sys.modules[name] = module
    # Asked by the reader of scans, too, which then runs on onnxruntime.
    devices = ModuleType(_DEVICES)
    devices.decide_device = _processor  # type: ignore[attr-defined]
    sys.modules.setdefault(_DEVICES, devices)
    return True


def _processor(*_: Any, **__: Any) -> str:
    return "cpu"


def _stand_in(kind: str) -> type:
    def refuse(*_: Any, **__: Any) -> NoReturn:
        raise MissingExtra(
            f"docling's {kind} cannot be used here", why="torch is not installed",
            hint="pip install 'holdfast[torch]'",
        )  # fmt: skip

    class Options:
        """What the engine would be found by."""

        kind: ClassVar[str] = "not-installed"

    return type(kind, (), {"__init__": refuse, "get_options_type": classmethod(lambda _: Options)})
