"""Runs the checks and ranks what they find; explains what a log tells of."""

from __future__ import annotations

from collections.abc import Mapping

from holdfast.checks import Finding, ranked
from holdfast.config import Settings
from holdfast.doctor._checks import Examination
from holdfast.doctor._known import KNOWN, Known
from holdfast.doctor._logs import Told, explain, read_log

__all__ = ["KNOWN", "Known", "Told", "examine", "explain", "read_log"]


def examine(settings: Settings, env: Mapping[str, str]) -> list[Finding]:
    """Look at everything that breaks downloads or loading; the gravest finding comes first.

    Args:
        settings: what would be used.
        env: the environment's variables.
    """
    return ranked(Examination(settings, env).run())
