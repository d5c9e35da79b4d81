"""Runs the checks and ranks what they find; explains what a log tells of."""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping
from types import ModuleType
from typing import Any

from holdfast.checks import Finding, ranked
from holdfast.config import Settings
from holdfast.doctor._checks import Examination
from holdfast.doctor._checkup import Checkup
from holdfast.doctor._known import KNOWN, Known
from holdfast.doctor._logs import Told, explain, read_log

__all__ = ["KNOWN", "Checkup", "Known", "Told", "diagnose", "examine", "explain", "read_log"]


def examine(settings: Settings, env: Mapping[str, str]) -> list[Finding]:
    """Look at everything that breaks downloads or loading; the gravest finding comes first.

    Args:
        settings: what would be used.
        env: the environment's variables.
    """
    return ranked(Examination(settings, env).run())


def diagnose(**settings: Any) -> list[Finding]:
    """Do what `examine` does, with the environment's settings and these."""
    return examine(Settings.from_env(os.environ, **settings), os.environ)


class _Callable(ModuleType):
    # Importing this module puts it in the place of the function `holdfast.doctor`.
    def __call__(self, **settings: Any) -> list[Finding]:
        return diagnose(**settings)


sys.modules[__name__].__class__ = _Callable
