"""What a VITS voice of Transformers is given for a text: the numbers of its signs."""

from __future__ import annotations

import unicodedata
from typing import Any

from holdfast.speech._spelling import spelled_out
from holdfast.speech._synthesis import TextUnpronounceable
from holdfast.speech.engines._phonemes import Phonemes

__all__ = ["VitsText", "short_code"]

# MMS has codes of three letters; those for which the usual one has two.
_CODES = """\
afr:af amh:am ara:ar asm:as azj:az aze:az bak:ba bel:be bul:bg ben:bn bod:bo bos:bs cat:ca ces:cs
chv:cv cym:cy dan:da deu:de ell:el eng:en spa:es est:et eus:eu fas:fa fin:fi fao:fo fra:fr gle:ga
guj:gu hau:ha heb:he hin:hi hrv:hr hat:ht hun:hu hye:hy ind:id isl:is ita:it jpn:ja jav:jv kat:ka
kaz:kk khm:km kan:kn kor:ko kir:ky lat:la ltz:lb lao:lo lit:lt lav:lv mlg:mg mri:mi mkd:mk mal:ml
mon:mn mar:mr msa:ms zlm:ms mlt:mt mya:my nob:no nor:no nep:ne nld:nl ory:or pan:pa pol:pl pus:ps
por:pt ron:ro rus:ru snd:sd sin:si slk:sk slv:sl sna:sn som:so sqi:sq srp:sr sun:su swe:sv swh:sw
swa:sw tam:ta tel:te tgk:tg tha:th tuk:tk tgl:tl tur:tr tat:tt ukr:uk urd:ur uzb:uz vie:vi yor:yo
cmn:zh zho:zh zul:zu
"""
_SHORT = dict(pair.split(":") for pair in _CODES.split())


def short_code(named: str | None) -> str:
    """Return the usual code for a language as a tokenizer names it: ``en`` for ``eng``.

    What is behind a hyphen (``azj-script_latin``) is left aside; no name at all is English, for
    which the first such models were made.
    """
    code = (named or "en").lower().replace("_", "-").partition("-")[0]
    return _SHORT.get(code, code)


class VitsText:
    """Turns texts into what a model takes.

    Args:
        tokenizer: a ``VitsTokenizer``.
        language: the code of what it reads.
        phonemes: how its phonemes are found; None for a model of letters.
        romanises: whether a model of romanised text gets that done by its tokenizer.
    """

    def __init__(
        self, tokenizer: Any, language: str, phonemes: Phonemes | None, *, romanises: bool
    ) -> None:
        self._tokenizer = tokenizer
        self._language = language
        self._phonemes = phonemes
        self._latin_only = tokenizer.is_uroman and not romanises

    def ids(self, sentence: str) -> list[int]:
        """Return the numbers of a sentence's signs; empty where there is nothing to say.

        Raises:
            TextUnpronounceable: the model knows no sign of it, or not its script.
        """
        spelled = spelled_out(sentence, self._language)
        if not any(map(str.isalnum, spelled)):
            return []
        if self._latin_only and not all(map(_latin, spelled)):
            raise TextUnpronounceable(
                "this voice reads Latin letters only", why="it was trained on romanised text",
                hint="romanise it first (pip install uroman where the service runs)",
                param="input",
            )  # fmt: skip
        known = self._tokenizer.encoder
        signs = [sign for sign in self._signs(spelled) if sign in known]
        if not any(map(str.isalpha, signs)):
            raise TextUnpronounceable(
                "this voice can pronounce nothing of it",
                why=f"it knows {''.join(sorted(known))[:80]!r}",
                hint=f"send text in the voice's own language ({self._language})", param="input",
            )  # fmt: skip
        ids = [known[sign] for sign in signs]
        if not self._tokenizer.add_blank:
            return ids
        with_blanks = [0] * (2 * len(ids) + 1)
        with_blanks[1::2] = ids
        return with_blanks

    def _signs(self, text: str) -> str:
        if self._phonemes is not None:
            return self._phonemes(text.lower() if self._tokenizer.normalize else text)
        prepared, _ = self._tokenizer.prepare_for_tokenization(text)
        return str(prepared)


def _latin(char: str) -> bool:
    return not char.isalpha() or unicodedata.name(char, "").startswith("LATIN")
