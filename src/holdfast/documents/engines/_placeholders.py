"""Docling where torch, torchvision or Transformers are not installed.

Some of its modules import them although nothing here uses them without: one reads audio, others
find tables with models. In their places stand modules that say so when they are used. What can be
imported is not replaced.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from importlib.util import find_spec
from types import ModuleType
from typing import Any, ClassVar, NoReturn

from holdfast.errors import MissingExtra

__all__ = ["stand_in"]

_TABLES = "docling.models.stages.table_structure.table_structure_model"
_DEVICES = "docling.utils.accelerator_utils"
# By module: what of it others ask for, and what it imports.
_STAND_INS = {
    "docling.pipeline.asr_transformers": ("TransformersAsrDecoder", ("torch",)),
    f"{_TABLES}_granite_vision": (
        "GraniteVisionTableStructureModel", ("torch", "transformers"),
    ),
    f"{_TABLES}_v2": ("TableStructureModelV2", ("torch", "torchvision", "transformers")),
}  # fmt: skip


def stand_in() -> None:
    """Put a stand-in in place of each module that cannot be imported here."""
    for name, (kind, wanted) in _STAND_INS.items():
        missing = [package for package in wanted if find_spec(package) is None]
        if missing and name not in sys.modules:
            module = ModuleType(name)
            setattr(module, kind, _stand_in(kind, missing))
            sys.modules[name] = module
    if find_spec("torch") is None:
        # Asked by the reader of scans, too, which then runs on onnxruntime.
        devices = ModuleType(_DEVICES)
        devices.decide_device = _processor  # type: ignore[attr-defined]
        sys.modules.setdefault(_DEVICES, devices)


def _processor(*_: Any, **__: Any) -> str:
    return "cpu"


def _stand_in(kind: str, missing: Sequence[str]) -> type:
    def refuse(*_: Any, **__: Any) -> NoReturn:
        raise MissingExtra(
            f"docling's {kind} cannot be used here", why=f"{missing[0]} is not installed",
            hint="pip install 'holdfast[documents-tables]'",
        )  # fmt: skip

    class Options:
        """What the engine would be found by."""

        kind: ClassVar[str] = "not-installed"

    return type(kind, (), {"__init__": refuse, "get_options_type": classmethod(lambda _: Options)})
