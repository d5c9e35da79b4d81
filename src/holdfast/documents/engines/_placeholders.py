"""Docling where torch, torchvision or Transformers are not installed.

Some of its modules import them although nothing here uses them without: one reads audio, others
find tables with models. In their places stand modules that say so when they are used. What can be
imported is not replaced. A torchvision that is there and cannot be imported, as one for another
torch, counts as none: Transformers, too, does without.
"""

from __future__ import annotations

import logging
import sys
from collections.abc import Sequence
from importlib.util import find_spec
from types import ModuleType
from typing import Any, ClassVar, NoReturn

from holdfast.errors import MissingExtra

__all__ = ["stand_in"]

_log = logging.getLogger(__name__)
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
    _set_aside_what_is_broken()
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


def _set_aside_what_is_broken() -> None:
    """Let torchvision count as not installed where it cannot be imported."""
    if "torchvision" in sys.modules or not (find_spec("torch") and find_spec("torchvision")):
        return
    try:
        import torchvision  # noqa: F401 - docling would, a little later
    except Exception as error:  # noqa: BLE001 - of many kinds, by how its parts do not fit together
        _log.warning("torchvision is not used: %s: %s", type(error).__name__, error)
        for name in [name for name in sys.modules if name.startswith("torchvision.")]:
            del sys.modules[name]
        sys.modules["torchvision"] = None  # type: ignore[assignment]


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
