"""What a voice that knows letters only needs: numbers, signs and abbreviations as words.

Rules only. English has rules of its own (`_spelling_english`); in other languages numbers become
words where CLDR says how the language counts.
"""

from __future__ import annotations

import re

from holdfast.speech._numerals import Numerals, numerals
from holdfast.speech._spelling_english import english

__all__ = ["spelled_out"]

# How the sign between whole and fraction is read, and whether it is a point (else a comma).
_POINTS = {
    "af": "komma", "ar": "فاصل", "bg": "запетая", "ca": "coma", "cs": "celá", "da": "komma",
    "de": "Komma", "el": "κόμμα", "es": "coma", "et": "koma", "fi": "pilkku", "fr": "virgule",
    "hr": "zarez", "hu": "egész", "id": "koma", "it": "virgola", "lt": "kablelis",
    "lv": "komats", "nl": "komma", "no": "komma", "pl": "przecinek", "pt": "vírgula",
    "ro": "virgulă", "ru": "запятая", "sk": "celá", "sl": "vejica", "sr": "зарез",
    "sv": "komma", "tr": "virgül", "uk": "кома", "vi": "phẩy",
}  # fmt: skip
_DOTS = {
    "he": "נקודה", "hi": "दशमलव", "ja": "点", "ko": "점", "ms": "perpuluhan", "sw": "nukta",
    "th": "จุด", "zh": "点", "yue": "點",
}  # fmt: skip
_PER_CENT = {
    "ca": "per cent", "cs": "procent", "da": "procent", "de": "Prozent", "es": "por ciento",
    "et": "protsenti", "fi": "prosenttia", "fr": "pour cent", "hr": "posto", "hu": "százalék",
    "id": "persen", "it": "per cento", "lt": "procentų", "nl": "procent", "no": "prosent",
    "pl": "procent", "pt": "por cento", "ro": "la sută", "ru": "процентов", "sk": "percent",
    "sv": "procent", "sw": "asilimia", "tr": "yüzde", "uk": "відсотків", "vi": "phần trăm",
    "hi": "प्रतिशत", "ar": "بالمئة", "ko": "퍼센트", "ja": "パーセント",
}  # fmt: skip
_NO_SPACES = frozenset({"ja", "km", "lo", "my", "th", "yue", "zh"})
_SPACES = "\u00a0\u202f\u2009 "
_GROUPED = r"\d{{1,3}}(?:{sign}\d{{3}})+(?!\d)"
_DIGITS = re.compile(r"\d+")


def spelled_out(text: str, language: str) -> str:
    """Return a text with its numbers, signs and abbreviations as words.

    Args:
        text: plain text, a sentence or so.
        language: its code, such as ``en``; what follows a hyphen is a region and left aside.

    Returns:
        single-spaced text; the text itself where nothing is known about the language.

    Raises:
        MissingExtra: unicode-rbnf is not installed.
    """
    code = re.split(r"[-_]", language.lower(), maxsplit=1)[0]
    if code == "nb":
        code = "no"
    known = numerals(code)
    if known is None:
        return text
    if code == "en":
        return english(text, known)
    return " ".join(_numbers(text, known, code).split())


def _numbers(text: str, known: Numerals, code: str) -> str:
    comma = code not in _DOTS
    point, group = (",", rf"[.'\u2019{_SPACES}]") if comma else (r"\.", f"[,{_SPACES}]")
    whole = f"(?:{_GROUPED.format(sign=group)}|\\d+)"
    number = re.compile(
        rf"(?P<minus>(?<!\S)[-−])?(?P<whole>{whole})(?:{point}(?P<rest>\d+))?"  # noqa: RUF001
        rf"(?P<sign>[{_SPACES}]?%)?"
    )
    spoken_point = (_POINTS if comma else _DOTS).get(code, "")

    def words(found: re.Match[str]) -> str:
        parts = [known.cardinal("".join(_DIGITS.findall(found["whole"])))]
        if found["minus"]:
            parts.insert(0, known.minus)
        if found["rest"]:
            parts += [spoken_point, known.one_by_one(found["rest"])]
        if found["sign"]:
            parts.append(_PER_CENT.get(code, "%"))
        return "".join(parts) if code in _NO_SPACES else f" {' '.join(parts)} "

    spoken = number.sub(words, text)
    # The spaces around words are not wanted where a sign follows or a bracket opens.
    return re.sub(r"(?<=[(\[\"“„«]) | (?=[.,;:!?)\]\"”»…](?:\W|$))", "", spoken)
