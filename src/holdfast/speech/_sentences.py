"""Cutting a text into sentences, so that the first can be heard while the next is made.

Rules only; nothing here does I/O. They know no grammar: a cut too few makes the first sound late, a
cut too many a pause where none belongs. Where it is not clear, nothing is cut.
"""

# ruff: noqa: RUF001 - the quotation marks and full stops of other scripts are meant

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator

__all__ = ["LONGEST", "sentences"]

# Characters. What a voice needs to make a sentence grows with its length, in some with the square.
LONGEST = 300
_SHORTEST_PART = 60
_LONGEST_ABBREVIATION = 40

_CLOSERS = "\"'”’»›)]}）］｝」』】》〉"
_OPENERS = "\"'“‘„‚«‹([{¿¡（［｛「『【《〈*_—–-"
# Marks of scripts that put no space after a sentence end it wherever they stand.
_WIDE = "。！？｡．‼⁇⁈⁉"
_CLOSING = f"[{re.escape(_CLOSERS)}]*"
_END = re.compile(rf"[.!?…؟۔।॥።។{_WIDE}]+{_CLOSING}(?=\s|$)|[{_WIDE}]+{_CLOSING}")
_ENDED = re.compile(rf"[.!?…؟۔।॥።{_WIDE}]{_CLOSING}$")
# "b) eggs", "ii. eggs": an item of a list that begins in lower case.
_ITEM = re.compile(r"(?:[^\W\d_]|[ivx]{2,4})[.)]\s")
_PART_END = re.compile(rf"[,;:]{_CLOSING}(?=\s)|[，；：、،؛]|\s[—–-](?=\s)|—")
_TOKEN = re.compile(r"[^\W_](?:[\w.’'&-]*[^\W_])?$")
_NEXT_WORD = re.compile(f"[{re.escape(_OPENERS)}\\s]*(\\w[\\w’']*)")
_DOTTED = re.compile(r"(?:[^\W\d_]\.)+[^\W\d_]")


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


# No sentence ends after these: a name, an example or a number follows.
_NEVER = _words("""\
mr mrs ms mx dr prof rev hon gen col maj capt cpt cmdr lt sgt cpl gov sen rep pres supt messrs
mme mlle sr.a sra srta mt ft e.g i.e cf viz vs v.s al resp bzw z.b d.h u.a s.o sog ggf inkl exkl
hr fr frl hl dipl ing p.ex c.-à-d p.ej
""")
# None ends after these where a number follows.
_BEFORE_NUMBER = _words("""\
no nos nr nrs fig figs vol vols p pp pg ch chap sec sect art op eq ca circa ver approx tel abb
kap bd núm
""")
# One may end after these, or go on.
_PERHAPS = _words("""\
etc inc ltd co corp bros jr sr st ave blvd rd dept univ assn est approx apt jan feb mar apr jun
jul aug sep sept oct nov dec mon tue tues wed thu thur thurs fri sat sun usw ph.d m.d b.a m.a
esq gmbh mio mrd min max temp avg no nr vol fig tel ca
""")
# With these a new one begins.
_STARTERS = _words("""\
the a an he she it we they i you this that these those there here when while if as in on at but
and or so then now yes no what why how who where which whose after before because although
however my our his her its their your for from to with without all some many most one nobody
everyone let please do did does is are was were can could will would should have has had not der
die das ein eine er sie es wir ihr ich und aber doch wenn als wo wer was le la les un une il
elle nous vous ils el los las uno
""")
_GERMAN_MONTHS = _words("""\
januar jänner februar feber märz april mai juni juli august september oktober november dezember
""")


def sentences(text: str) -> list[str]:
    """Return the sentences of a text.

    A line's end is a sentence's end, unless the text was only wrapped there: the line ends with no
    mark, and the next goes on in lower case and is no item of a list. Quotation marks and brackets
    stay with what they close. What is longer than ``LONGEST`` is cut at commas and the like, else
    between words, else anywhere.

    Returns:
        sentences without white space around them and with single spaces inside: all characters of
        the text but its white space, in order; none is empty.
    """
    found: list[str] = []
    for line in _unwrapped(text):
        for sentence in _cut(" ".join(line.split())):
            if found and not any(map(str.isalnum, sentence)) and len(found[-1]) < LONGEST:
                found[-1] = f"{found[-1]} {sentence}"  # a row of dashes is no sentence
            else:
                found.append(sentence)
    return [part for sentence in found for part in _parts(sentence)]


def _unwrapped(text: str) -> Iterator[str]:
    """Yield the lines of a text, put together where they were only wrapped."""
    held: list[str] = []
    for line in map(str.strip, text.splitlines()):
        goes_on = line[:1].islower() and not _ITEM.match(line)
        if not (goes_on and held and held[-1] and not _ENDED.search(held[-1])):
            yield " ".join(held)
            held = []
        held.append(line)
    yield " ".join(held)


def _cut(line: str) -> Iterator[str]:
    start = 0
    cased = any(map(str.isupper, line))
    for mark in _END.finditer(line):
        if mark.end() > start and _ends(line, start, mark, cased=cased):
            yield line[start : mark.end()].strip()
            start = mark.end()
    if rest := line[start:].strip():
        yield rest


def _ends(line: str, start: int, mark: re.Match[str], *, cased: bool) -> bool:
    """Whether a sentence that began at ``start`` ends with this mark."""
    after = line[mark.end() :]
    signs = mark.group().rstrip(_CLOSERS)
    if not after.strip() or signs[-1] in _WIDE:
        return True
    word = _NEXT_WORD.match(after)
    following = word.group(1) if word else ""
    if cased and following[:1].islower():
        return False  # "Stop!" he said; approx. five
    if signs != ".":
        return True
    begun = start + line.startswith(" ", start)
    near = max(begun, mark.start() - _LONGEST_ABBREVIATION)
    before = _TOKEN.search(line[near : mark.start()])
    if before is None:
        return True
    return _full_stop(before.group(), following, first=near + before.start() == begun)


def _full_stop(token: str, following: str, *, first: bool) -> bool:
    """Whether a single full stop between two words ends a sentence."""
    said, next_said = token.lower(), following.lower()
    if said in _NEVER:
        return False
    if token.isdigit():
        listed = first and len(token) <= 3  # "1. Preheat the oven"
        return not listed and not (len(token) <= 2 and next_said in _GERMAN_MONTHS)
    if following[:1].isdigit() and said in (_BEFORE_NUMBER | _PERHAPS):
        return False
    initial = len(token) == 1 and token.isalpha()
    if initial or said in _PERHAPS or _DOTTED.fullmatch(token):
        # "J. Smith" and "the U.S. Army" go on; "in the U.S. The army" does not. A name that
        # happens to be a word is rarer than such a word at the beginning of a sentence.
        return next_said in _STARTERS
    return True


def _parts(sentence: str) -> Iterator[str]:
    while len(sentence) > LONGEST:
        at = _cut_at(sentence)
        yield sentence[:at].strip()
        sentence = sentence[at:].strip()
    if sentence:
        yield sentence


def _cut_at(sentence: str) -> int:
    """Return where an over-long sentence is cut: not before the first, and at most ``LONGEST``."""
    window = sentence[: LONGEST + 1]
    ends = [mark.end() for mark in _PART_END.finditer(window)]
    if fitting := [end for end in ends if _SHORTEST_PART <= end <= LONGEST]:
        return fitting[-1]
    if (space := window.rfind(" ", 1)) > 0:
        return space
    at = LONGEST
    # A mark that belongs to the letter before it stays with it.
    while at > LONGEST // 2 and unicodedata.category(sentence[at]) in {"Mn", "Mc", "Me", "Cf"}:
        at -= 1
    return at
