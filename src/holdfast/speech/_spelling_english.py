"""English numbers, signs and abbreviations as words. Rules only.

Each rule is a pattern and what becomes of it; they are applied in order, so that what is more
particular (a time, a sum of money) is read before what is more general (a number).
"""

from __future__ import annotations

import re
from collections.abc import Callable

from holdfast.speech._english_words import (
    ABBREVIATIONS,
    CURRENCIES,
    FRACTIONS,
    LETTERED,
    MONTHS,
    SCALES,
    SHORT_MONTHS,
    SIGNS,
    TITLES,
    UNITS,
    YEAR_WORDS,
)
from holdfast.speech._numerals import Numerals

__all__ = ["english"]

Found = re.Match[str]
_NUMBER = r"(?:\d{1,3}(?:,\d{3})+(?!\d)|\d+)(?:\.\d+)?|\.\d+"
_FREE = r"(?<![\w.,])"  # nothing of another number, or of a name such as A320, before it
_MONTH = "|".join([*MONTHS, *(f"{short}\\.?" for short in SHORT_MONTHS)])
_UNIT = "|".join(sorted(map(re.escape, UNITS), key=len, reverse=True))
_SIGN = "".join(re.escape(sign) for sign in CURRENCIES)
_SCALE = "|".join(map(re.escape, SCALES))
_QUOTES = str.maketrans({"\u2019": "'", "\u2018": "'", "\u02bc": "'", "\u00a0": " ", "\u202f": " "})


def english(text: str, numerals: Numerals) -> str:
    """Return an English text with its numbers, signs and abbreviations as words, single-spaced."""
    spoken = " ".join(_English(numerals).spoken(text.translate(_QUOTES)).split())
    # Signs become words with spaces around them, which are not wanted before a comma.
    return re.sub(r" (?=[,.;:!?](?:\s|$))", "", spoken)


class _English:
    """The rules, with the numbers that they need."""

    def __init__(self, numerals: Numerals) -> None:
        self._numerals = numerals

    def spoken(self, text: str) -> str:
        for pattern, rule in _RULES:
            text = pattern.sub(lambda found, rule=rule: rule(self, found), text)  # type: ignore[misc]
        return text

    def number(self, digits: str) -> str:
        """Return "1,234.5" as words."""
        whole, point, rest = digits.replace(",", "").partition(".")
        parts = [self._numerals.cardinal(whole)] if whole else []
        if point and rest:
            parts += ["point", self._numerals.one_by_one(rest)]
        return " ".join(parts)

    def year(self, digits: str) -> str:
        # CLDR hyphenates "nineteen oh-five".
        return self._numerals.year(digits).replace("oh-", "oh ")

    def title(self, found: Found) -> str:
        return f"{TITLES[found[1]]} "

    def saint(self, found: Found) -> str:
        # "in St. Louis", but "on Main St. The shop".
        before = found.string[: found.start()].split()
        return found[0] if before and before[-1][:1].isupper() and len(before) > 1 else "Saint "

    def abbreviation(self, found: Found) -> str:
        # The full stop was the sentence's, too, where nothing comes after it.
        stop = "." if not found.string[found.end() :].strip() else ""
        return f"{ABBREVIATIONS[found[1].lower()]}{stop}"

    def letters(self, found: Found) -> str:
        stop = "." if not found.string[found.end() :].strip() else ""
        return " ".join(filter(str.isalpha, found[0])) + stop

    def capitals(self, found: Found) -> str:
        return found[0] if found.string.isupper() else " ".join(found[0])

    def phone(self, found: Found) -> str:
        groups = re.findall(r"\d+", found[0])
        plus = "plus " if found[0].startswith("+") else ""
        return plus + ", ".join(self._numerals.one_by_one(group) for group in groups)

    def version(self, found: Found) -> str:
        parts = re.findall(r"\d+", found[0])
        version = "version " if found[0].startswith("v") else ""
        return version + " point ".join(map(self._numerals.cardinal, parts))

    def iso_date(self, found: Found) -> str:
        month, day = MONTHS[int(found[2]) - 1], self._numerals.ordinal(found[3])
        return f"{month} {day}, {self.year(found[1])}"

    def month_day(self, found: Found) -> str:
        year = f", {self.year(found['year'])}" if found["year"] else ""
        return f"{_month(found['month'])} {self._numerals.ordinal(found['day'])}{year}"

    def day_month(self, found: Found) -> str:
        year = f" {self.year(found['year'])}" if found["year"] else ""
        return f"the {self._numerals.ordinal(found['day'])} of {_month(found['month'])}{year}"

    def time(self, found: Found) -> str:
        hour, minute, second = found["hour"], found["minute"], found["second"]
        parts = [self.number(str(int(hour)))]
        if int(minute):
            parts += ["oh"] * (minute[0] == "0") + [self.number(str(int(minute)))]
        elif not found["half"]:
            parts.append("o'clock" if 1 <= int(hour) <= 12 else "hundred hours")
        if second:
            many = "second" if int(second) == 1 else "seconds"
            parts += ["and", self.number(str(int(second))), many]
        if found["half"]:
            parts += [found["half"][0].lower(), "m"]
        return " ".join(parts)

    def hour(self, found: Found) -> str:
        return f"{self.number(found[1])} {found['half'][0].lower()} m"

    def money(self, found: Found) -> str:
        one, many, cent, cents = CURRENCIES[found["sign"] or found["after"]]
        amount, scale = found["amount"], found["scale"]
        if scale:
            return f"{self.number(amount)} {SCALES[scale]} {many}"
        whole, _, rest = amount.replace(",", "").partition(".")
        if len(rest) not in {0, 2} or not cent:
            return f"{self.number(amount)} {many}"
        parts = []
        if int(whole or 0) or not int(rest or 0):
            parts.append(f"{self.number(whole)} {one if int(whole) == 1 else many}")
        if int(rest or 0):
            parts.append(f"{self.number(str(int(rest)))} {cent if int(rest) == 1 else cents}")
        return " ".join(parts)

    def per_cent(self, found: Found) -> str:
        return f"{self.number(found[1])} percent"

    def unit(self, found: Found) -> str:
        one, many = UNITS[found[2]]
        return f"{self.number(found[1])} {one if found[1] == '1' else many}"

    def ordinal(self, found: Found) -> str:
        return self._numerals.ordinal(found[1].replace(",", ""))

    def decade(self, found: Found) -> str:
        said = self.year(found[1]) if len(found[1]) == 4 else self._numerals.cardinal(found[1])
        return f"{said[:-1]}ies" if said.endswith("y") else f"{said}s"

    def fraction(self, found: Found) -> str:
        over, under = int(found[1]), int(found[2])
        if not 0 < over < under or under > 20:
            return f"{self.number(found[1])} over {self.number(found[2])}"
        named = {2: "half", 4: "quarter"}.get(under) or self._numerals.ordinal(found[2])
        if over > 1:
            named = "halves" if named == "half" else f"{named}s"
        return f"{self.number(found[1])} {named}"

    def vulgar(self, found: Found) -> str:
        joint = " and " if found.start() and found.string[found.start() - 1].isdigit() else " "
        return f"{joint}{FRACTIONS[found[0]]} "

    def span(self, found: Found) -> str:
        first, second = found[1], found[2]
        if len(first) == 4 and 1000 < int(first) < 2100 and len(second) in {2, 4}:
            return f"{self.year(first)} to {self.year(second)}"
        return f"{self.number(first)} to {self.number(second)}"

    def bare_year(self, found: Found) -> str:
        return found[1] + self.year(found[2])

    def numbered(self, found: Found) -> str:
        return f"number {self.number(found[1])}"

    def negative(self, found: Found) -> str:
        del found
        return "minus "

    def dash(self, found: Found) -> str:
        del found
        return ", "

    def address(self, found: Found) -> str:
        return found[0].replace(".", " dot ")

    def any_number(self, found: Found) -> str:
        before = found.string[: found.start()][-1:]
        after = found.string[found.end() :][:1]
        return f"{' ' * before.isalpha()}{self.number(found[0])}{' ' * after.isalpha()}"

    def sign(self, found: Found) -> str:
        return f" {SIGNS[found[0]]} "


def _month(named: str) -> str:
    start = named[:3].lower()
    return next(month for month in MONTHS if month.lower().startswith(start))


def _words(known: dict[str, str]) -> str:
    return "|".join(sorted(map(re.escape, known), key=len, reverse=True))


_YEAR = r"(?P<year>[12]\d{3})(?![\d,]*\d)"
_DAY = r"(?P<day>[12]\d|3[01]|0?[1-9])(?:st|nd|rd|th)?"
# What can be counted makes "1200 people" of a number, although "in" may stand before it.
_NOT_COUNTED = r"(?!,\d|\.\d|\w|\s+(?!was\b|is\b|has\b|as\b|its\b|this\b|us\b)[a-z]{2,}s\b)"
_HALF = r"(?P<half>[ap]\.m\.|[ap]m\b)"
_CONSONANTS = r"\b[BCDFGHJKLMNPQRSTVWXZ]{2,5}\b"
_DOMAINS = "com|org|net|io|dev|ai|edu|gov|info|uk|de|eu|fr"


def _rule(
    pattern: str, rule: Callable[[_English, Found], str], *, cased: bool = True
) -> tuple[re.Pattern[str], Callable[[_English, Found], str]]:
    return re.compile(pattern, 0 if cased else re.IGNORECASE), rule


_RULES = (
    _rule(r"(?<![^\s(])[-\u2212](?=\.?\d|[" + _SIGN + r"]\s?\d)", _English.negative),
    _rule(rf"\b({_words(TITLES)})\.\s+(?=[A-Z])", _English.title),
    _rule(r"\bSt\.\s+(?=[A-Z])", _English.saint),
    _rule(rf"\b({_words(ABBREVIATIONS)})\.(?!\w)", _English.abbreviation, cased=False),
    _rule(rf"(?<![\w.+-])[\w.+-]{{1,60}}\.(?:{_DOMAINS})\b", _English.address, cased=False),
    _rule(rf"{_FREE}(\d{{4}})-(0[1-9]|1[0-2])-(\d\d)(?![\w-])", _English.iso_date),
    _rule(rf"{_FREE}\+\d{{1,3}}(?:[ -]\d{{2,}})+(?!\w)", _English.phone),
    _rule(rf"{_FREE}(?:\(\d{{3}}\) ?|\d{{3}}-)?\d{{3}}-\d{{4}}(?![\w-])", _English.phone),
    _rule(rf"{_FREE}v?\d+(?:\.\d+){{2,}}(?!\w)", _English.version),
    _rule(rf"\b(?P<month>{_MONTH})\s+{_DAY}(?![\w:]|[.,]\d)(?:,?\s+{_YEAR})?", _English.month_day),
    _rule(rf"{_FREE}(?:the\s+)?{_DAY}\s+(?:of\s+)?(?P<month>{_MONTH})(?!\w)(?:,?\s+{_YEAR})?",
          _English.day_month),
    _rule(rf"{_FREE}(?P<hour>[01]?\d|2[0-3]):(?P<minute>[0-5]\d)(?::(?P<second>[0-5]\d))?"
          rf"(?:\s*{_HALF})?(?![\d:])", _English.time, cased=False),
    _rule(rf"{_FREE}(1[0-2]|[1-9])\s*{_HALF}", _English.hour, cased=False),
    _rule(rf"(?:US)?(?P<sign>[{_SIGN}])\s?(?P<amount>{_NUMBER})(?:\s?(?P<scale>{_SCALE})\b)?"
          r"(?P<after>)", _English.money),
    _rule(rf"{_FREE}(?P<amount>{_NUMBER})\s?(?:(?P<scale>{_SCALE})\s)?(?P<after>[{_SIGN}])"
          r"(?P<sign>)", _English.money),
    _rule(rf"{_FREE}({_NUMBER})\s?%", _English.per_cent),
    _rule(rf"{_FREE}'?((?:1\d|20)\d0|(?:(?<=')|(?<=the ))\d0)'?s\b", _English.decade),
    _rule(rf"{_FREE}({_NUMBER})\s?({_UNIT})(?![\w/²³])", _English.unit),
    _rule(rf"{_FREE}(\d[\d,]*)(?:st|nd|rd|th)\b", _English.ordinal),
    _rule(rf"{_FREE}(\d+)\s*[-\u2013]\s*(\d+)(?![\w-]|[,.]\d)", _English.span),
    _rule(rf"{_FREE}(\d{{1,3}})/(\d{{1,3}})(?![\w/])", _English.fraction),
    _rule(f"[{''.join(FRACTIONS)}]", _English.vulgar),
    _rule(r"(?:\b[Nn]os?\.|#)\s*(\d+)", _English.numbered),
    _rule(rf"(\b(?:{'|'.join(YEAR_WORDS)}),?\s+|\()([12]\d{{3}}){_NOT_COUNTED}", _English.bare_year,
          cased=False),
    _rule(r"\b(?:[^\W\d_]\.){2,}", _English.letters),
    _rule(rf"{_CONSONANTS}|\b(?:{'|'.join(LETTERED)})\b", _English.capitals),
    _rule(_NUMBER, _English.any_number),
    _rule(r"\s*[\u2014\u2015]\s*|\s+\u2013\s+", _English.dash),
    _rule(f"[{''.join(map(re.escape, SIGNS))}]", _English.sign),
)  # fmt: skip
