"""Numbers as words, by the rules of CLDR, which unicode-rbnf carries out.

Nothing here does I/O but reading those rules, once a language.
"""

from __future__ import annotations

import threading
from functools import lru_cache
from typing import TYPE_CHECKING

from holdfast.errors import MissingExtra

if TYPE_CHECKING:
    from unicode_rbnf import FormatPurpose, RbnfEngine

__all__ = ["Numerals", "numerals"]

# Longer ones are read digit by digit: a number of an account, or of nothing that is counted. Up to
# here the library's floating point is exact as well.
_MOST_DIGITS = 15
# Where CLDR has another name for a language, or a language of its own for a region.
_RULES = {"nb": "no", "tl": "fil", "iw": "he"}
_turn = threading.Lock()


class Numerals:
    """The numbers of a language."""

    def __init__(self, engine: RbnfEngine) -> None:
        self._engine = engine

    @property
    def minus(self) -> str:
        """The word before a number below zero."""
        below, one = self._spelled(-1, "CARDINAL"), self._spelled(1, "CARDINAL")
        return below.removesuffix(one).strip() if below.endswith(one) else "minus"

    def cardinal(self, digits: str) -> str:
        """Return a whole number, given as its digits, as words."""
        if len(digits) > _MOST_DIGITS or (digits.startswith("0") and len(digits) > 1):
            return self.one_by_one(digits)
        return self._spelled(int(digits), "CARDINAL")

    def one_by_one(self, digits: str) -> str:
        """Return every digit as a word."""
        return " ".join(self._spelled(int(digit), "CARDINAL") for digit in digits)

    def ordinal(self, digits: str) -> str:
        """Return "first" for 1, and so on; a cardinal where there is no such form."""
        if len(digits) > _MOST_DIGITS:
            return self.one_by_one(digits)
        return self._spelled(int(digits), "ORDINAL")

    def year(self, digits: str) -> str:
        """Return a year as it is read: in English, "nineteen ninety-nine"."""
        return self._spelled(int(digits), "YEAR")

    def _spelled(self, number: int, purpose: str) -> str:
        from unicode_rbnf import FormatPurpose

        for kind in (FormatPurpose[purpose], FormatPurpose.CARDINAL):
            if (text := self._formatted(number, kind)) is not None:
                return text
        return str(number)

    def _formatted(self, number: int, kind: FormatPurpose) -> str | None:
        from unicode_rbnf.engine import RbnfError

        # The library sorts its rules when they are first used.
        with _turn:
            try:
                return self._engine.format_number(number, kind).text.strip()
            except (RbnfError, ValueError):  # no such rule, or none for so large a number
                return None


@lru_cache(maxsize=32)
def numerals(language: str) -> Numerals | None:
    """Return the numbers of a language.

    Args:
        language: its code, such as ``de``.

    Returns:
        None where CLDR does not say how it counts.

    Raises:
        MissingExtra: unicode-rbnf is not installed.
    """
    try:
        from unicode_rbnf import RbnfEngine
    except ImportError as error:
        raise MissingExtra(
            "numbers cannot be spelled out here", why=f"{error.name} is not installed",
            hint="pip install 'holdfast[speech]'",
        ) from error  # fmt: skip
    name = _RULES.get(language, language)
    if name not in RbnfEngine.get_supported_languages():
        return None
    return Numerals(RbnfEngine.for_language(name))
