"""What a check finds, and how findings are ranked. Rules only; nothing here does I/O."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any, Literal

__all__ = ["Check", "Finding", "Severity", "ranked", "worst"]

Severity = Literal["error", "warning", "info", "ok"]
_RANK: dict[Severity, int] = {"error": 0, "warning": 1, "info": 2, "ok": 3}


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that a check has to say.

    Attributes:
        check: kebab-case name of the check.
        severity: ``error`` when something will fail, ``warning`` when it may or costs more than it
            should, ``info`` and ``ok`` otherwise.
        message: what was found.
        cure: what to do about it, so that it can be pasted; "" where there is nothing to do.
    """

    check: str
    severity: Severity
    message: str
    cure: str = ""

    def to_dict(self) -> dict[str, Any]:
        """Return the finding as JSON-ready data."""
        return {
            "check": self.check,
            "severity": self.severity,
            "message": self.message,
            "cure": self.cure,
        }


Check = Callable[[], Iterable[Finding]]


def ranked(findings: Iterable[Finding]) -> list[Finding]:
    """Return findings with the gravest first, otherwise in their order."""
    return sorted(findings, key=lambda finding: _RANK[finding.severity])


def worst(findings: Iterable[Finding]) -> Severity:
    """Return the gravest severity; ``ok`` when nothing was found."""
    return min((f.severity for f in findings), key=_RANK.__getitem__, default="ok")
