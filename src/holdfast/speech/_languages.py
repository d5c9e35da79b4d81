"""Languages by their codes, and the names that OpenAI's interface has for them.

Rules only; nothing here does I/O.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from holdfast.speech._segments import OptionInvalid

__all__ = ["LANGUAGES", "language_code"]

LANGUAGES: Mapping[str, str] = {
    "af": "afrikaans", "am": "amharic", "ar": "arabic", "as": "assamese", "az": "azerbaijani",
    "ba": "bashkir", "be": "belarusian", "bg": "bulgarian", "bn": "bengali", "bo": "tibetan",
    "br": "breton", "bs": "bosnian", "ca": "catalan", "cs": "czech", "cy": "welsh",
    "da": "danish", "de": "german", "el": "greek", "en": "english", "es": "spanish",
    "et": "estonian", "eu": "basque", "fa": "persian", "fi": "finnish", "fo": "faroese",
    "fr": "french", "gl": "galician", "gu": "gujarati", "ha": "hausa", "haw": "hawaiian",
    "he": "hebrew", "hi": "hindi", "hr": "croatian", "ht": "haitian creole", "hu": "hungarian",
    "hy": "armenian", "id": "indonesian", "is": "icelandic", "it": "italian", "ja": "japanese",
    "jw": "javanese", "ka": "georgian", "kk": "kazakh", "km": "khmer", "kn": "kannada",
    "ko": "korean", "la": "latin", "lb": "luxembourgish", "ln": "lingala", "lo": "lao",
    "lt": "lithuanian", "lv": "latvian", "mg": "malagasy", "mi": "maori", "mk": "macedonian",
    "ml": "malayalam", "mn": "mongolian", "mr": "marathi", "ms": "malay", "mt": "maltese",
    "my": "myanmar", "ne": "nepali", "nl": "dutch", "nn": "nynorsk", "no": "norwegian",
    "oc": "occitan", "pa": "punjabi", "pl": "polish", "ps": "pashto", "pt": "portuguese",
    "ro": "romanian", "ru": "russian", "sa": "sanskrit", "sd": "sindhi", "si": "sinhala",
    "sk": "slovak", "sl": "slovenian", "sn": "shona", "so": "somali", "sq": "albanian",
    "sr": "serbian", "su": "sundanese", "sv": "swedish", "sw": "swahili", "ta": "tamil",
    "te": "telugu", "tg": "tajik", "th": "thai", "tk": "turkmen", "tl": "tagalog",
    "tr": "turkish", "tt": "tatar", "uk": "ukrainian", "ur": "urdu", "uz": "uzbek",
    "vi": "vietnamese", "yi": "yiddish", "yo": "yoruba", "yue": "cantonese", "zh": "chinese",
}  # fmt: skip
_CODES = {name: code for code, name in LANGUAGES.items()}
_OTHER_NAMES = {
    "jv": "jw",
    "nb": "no",
    "iw": "he",
    "mandarin": "zh",
    "castilian": "es",
    "burmese": "my",
}


def language_code(named: str, known: Sequence[str]) -> str:
    """Return the code of a language that is named by its code or name, such as ``de-AT`` or German.

    Args:
        named: as a client says it.
        known: codes that an engine knows.

    Raises:
        OptionInvalid: it knows no such language.
    """
    said = named.strip().lower()
    code = _CODES.get(said, said.replace("_", "-").partition("-")[0])
    code = _OTHER_NAMES.get(code, code)
    if code not in known:
        raise OptionInvalid(
            f"the language {named[:40]!r} cannot be read",
            why=f"this model knows {', '.join(known[:12])}{' ...' if len(known) > 12 else ''}",
            hint="leave the language out, or give a code such as 'en'",
            param="language",
        )
    return code
