"""espeak-ng's library, by ctypes.

It is GPL-3 and keeps one state for a whole process: what uses this runs in a process of its own
(``isolate`` in the runtime's `ModelSpec`), and says which data it wants with everything it asks.
"""

from __future__ import annotations

import ctypes
import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, ClassVar, NamedTuple

from holdfast.errors import MissingExtra
from holdfast.runtime import EngineUnusable, check_wanted

__all__ = ["DATA", "EspeakLibrary", "LanguageVoice", "wheel_data"]

DATA = "espeak-ng-data"
# speak_lib.h
_SYNCHRONOUS = 2
_DONT_EXIT = 0x8000
_UTF8 = 1
_IPA = 2
_RATE = 1
# Bytes; behind it comes the name of a file in the data.
_LONGEST_NAME = 100
# Without these there is no voice, and the library looks elsewhere instead of saying so.
_NEEDED = ("phontab", "phondata", "phonindex", "intonations", "lang", "voices")


class LanguageVoice(NamedTuple):
    """A language that the data has.

    Attributes:
        codes: such as ``fr-fr``, and others that mean it, such as ``fr``, each with a number: of
            several languages for a code, that with the lowest is meant.
        file: by which the library knows it, such as ``roa/fr``.
    """

    codes: tuple[tuple[str, int], ...]
    file: str


class _Voice(ctypes.Structure):
    """``espeak_VOICE``."""

    _fields_: ClassVar = [
        ("name", ctypes.c_char_p),
        # For each code a byte of priority, the code and a zero; a zero at the end.
        ("languages", ctypes.c_void_p),
        ("identifier", ctypes.c_char_p),
        ("gender", ctypes.c_ubyte),
        ("age", ctypes.c_ubyte),
        ("variant", ctypes.c_ubyte),
        ("reserved", ctypes.c_ubyte),
        ("score", ctypes.c_int),
        ("spare", ctypes.c_void_p),
    ]


_HEARD = ctypes.CFUNCTYPE(
    ctypes.c_int, ctypes.POINTER(ctypes.c_short), ctypes.c_int, ctypes.c_void_p
)
_turn = threading.RLock()
_loaded: Any = None
_data_in_use: Path | None = None
_rate_hz = 0


class EspeakLibrary:
    """The library with the data in a folder. May be asked from several threads: they take turns.

    Args:
        folder: with ``espeak-ng-data/``.

    Raises:
        EngineUnusable: the data is not there or not of this version of the library.
        MissingExtra: the wheel with the library is not installed.
    """

    def __init__(self, folder: Path) -> None:
        missing = [name for name in _NEEDED if not (folder / DATA / name).exists()]
        if missing:
            raise EngineUnusable(
                f"{folder} holds no voices of espeak-ng",
                why=f"{DATA} has no {', '.join(missing)}", hint="holdfast repair",
            )  # fmt: skip
        self._folder = folder
        with self._library():
            self.rate_hz = _rate_hz

    def languages(self) -> list[LanguageVoice]:
        """Return the languages that the data has all of: some are listed and have no words."""
        found = []
        with self._library() as library:
            voices = library.espeak_ListVoices(None)
            number = 0
            while voices[number]:
                voice = voices[number].contents
                found.append(LanguageVoice(_codes(voice.languages), voice.identifier.decode()))
                number += 1
        return [each for each in found if self._has_words(each)]

    def _has_words(self, voice: LanguageVoice) -> bool:
        data = self._folder / DATA
        name = voice.codes[0][0].partition("-")[0]
        for line in (data / "lang" / voice.file).read_text("utf-8", "replace").splitlines():
            if line.startswith("dictionary "):
                name = line.split()[1]
        return (data / f"{name}_dict").is_file()

    def variants(self) -> list[str]:
        """Return what may follow a ``+`` behind a language."""
        return sorted(path.name for path in (self._folder / DATA / "voices/!v").glob("*"))

    def speak(self, text: str, voice: str, words_per_min: int) -> bytes:
        """Return a text as sound: 16 bits, mono, at ``rate_hz``.

        Args:
            text: plain text.
            voice: a language's file, and perhaps a variant after a ``+``.
            words_per_min: about 80 to 700.

        Raises:
            CalledOff: nobody waits for it any more.
        """
        heard: list[bytes] = []
        stopped: list[BaseException] = []

        def hear(samples: Any, count: int, events: int) -> int:
            del events
            try:
                check_wanted()
            except BaseException as error:  # noqa: BLE001 - raised again below: C cannot pass it on
                stopped.append(error)
                return 1
            if samples and count:
                heard.append(ctypes.string_at(samples, 2 * count))
            return 0

        given = _as_c(text)
        callback = _HEARD(hear)
        with self._library(voice) as library:
            library.espeak_SetSynthCallback(callback)
            library.espeak_SetParameter(_RATE, words_per_min, 0)
            failed = library.espeak_Synth(given, len(given) + 1, 0, 1, 0, _UTF8, None, None)
        if stopped:
            raise stopped[0]
        if failed:
            raise RuntimeError(f"espeak_Synth answered {failed}")
        return b"".join(heard)

    def phonemes(self, text: str, voice: str) -> str:
        """Return how a text is pronounced, in the signs of the IPA, without its punctuation."""
        given = ctypes.create_string_buffer(_as_c(text))
        at = ctypes.c_void_p(ctypes.addressof(given))
        clauses = []
        with self._library(voice) as library:
            while at.value:  # a clause at a time; None after the last
                clause = library.espeak_TextToPhonemes(ctypes.byref(at), _UTF8, _IPA)
                clauses.append(clause.decode(errors="replace") if clause else "")
        return " ".join(clause for clause in clauses if clause)

    @contextmanager
    def _library(self, voice: str = "") -> Iterator[Any]:
        """Hold the library, with this data and a voice chosen."""
        global _data_in_use, _rate_hz  # noqa: PLW0603 - as the library's own state
        with _turn, self._near() as place:
            library = _loaded_once()
            if _data_in_use != self._folder:
                if _data_in_use is not None:
                    library.espeak_Terminate()
                _data_in_use = None
                rate = library.espeak_Initialize(_SYNCHRONOUS, 0, bytes(place), _DONT_EXIT)
                if rate <= 0:
                    raise EngineUnusable(
                        f"the voices in {self._folder} cannot be loaded",
                        why=f"espeak-ng {_version(library)} answered {rate}",
                        hint="holdfast verify, then holdfast repair",
                    )
                _data_in_use, _rate_hz = self._folder, rate
            if voice and (failed := library.espeak_SetVoiceByName(voice.encode())):
                raise EngineUnusable(
                    f"espeak-ng has no voice {voice!r}", why=f"it answered {failed}",
                    hint="choose a voice whose data is there",
                )  # fmt: skip
            yield library

    @contextmanager
    def _near(self) -> Iterator[Path]:
        """Yield the data's folder by a name that is short enough for the library.

        It keeps names in 160 bytes, and cuts longer ones off without a word. From within the folder
        any is short; this process is the library's own, or all that it does with it is done here.
        """
        if len(bytes(self._folder)) <= _LONGEST_NAME:
            yield self._folder
            return
        before = Path.cwd()
        os.chdir(self._folder)
        try:
            yield Path()
        finally:
            os.chdir(before)


def wheel_data() -> Path:
    """Return the folder with the data that travels in the wheel.

    Raises:
        MissingExtra: the wheel is not installed.
    """
    return Path(_wheel().get_data_path()).parent


def _wheel() -> Any:
    try:
        import espeakng_loader
    except ImportError as error:
        raise MissingExtra(
            "espeak-ng is not here", why=f"{error.name} is not installed",
            hint="pip install 'holdfast[espeak]'",
        ) from error  # fmt: skip
    return espeakng_loader


def _loaded_once() -> Any:
    global _loaded  # noqa: PLW0603 - a library is loaded once a process
    if _loaded is None:
        path = _wheel().get_library_path()
        try:
            library = ctypes.CDLL(path)
        except OSError as error:
            raise EngineUnusable(
                "espeak-ng cannot be loaded", why=str(error),
                hint="pip install --force-reinstall espeakng-loader",
            ) from error  # fmt: skip
        _declare(library)
        _loaded = library
    return _loaded


def _declare(library: Any) -> None:
    library.espeak_Initialize.argtypes = [
        ctypes.c_int, ctypes.c_int, ctypes.c_char_p, ctypes.c_int,
    ]  # fmt: skip
    library.espeak_ListVoices.argtypes = [ctypes.c_void_p]
    library.espeak_ListVoices.restype = ctypes.POINTER(ctypes.POINTER(_Voice))
    library.espeak_SetVoiceByName.argtypes = [ctypes.c_char_p]
    library.espeak_SetSynthCallback.argtypes = [_HEARD]
    library.espeak_SetParameter.argtypes = [ctypes.c_int, ctypes.c_int, ctypes.c_int]
    library.espeak_Synth.argtypes = [
        ctypes.c_char_p, ctypes.c_size_t, ctypes.c_uint, ctypes.c_int, ctypes.c_uint,
        ctypes.c_uint, ctypes.c_void_p, ctypes.c_void_p,
    ]  # fmt: skip
    library.espeak_TextToPhonemes.argtypes = [
        ctypes.POINTER(ctypes.c_void_p), ctypes.c_int, ctypes.c_int,
    ]  # fmt: skip
    library.espeak_TextToPhonemes.restype = ctypes.c_char_p
    library.espeak_Info.argtypes = [ctypes.c_void_p]
    library.espeak_Info.restype = ctypes.c_char_p


def _codes(at: int) -> tuple[tuple[str, int], ...]:
    found = []
    while listed := ctypes.string_at(at):  # the number is never zero
        found.append((listed[1:].decode(), listed[0]))
        at += len(listed) + 1
    return tuple(found)


def _version(library: Any) -> str:
    return str(library.espeak_Info(None).decode())


def _as_c(text: str) -> bytes:
    # It would end there for C; half a surrogate is no character of UTF-8.
    return text.replace("\0", " ").encode("utf-8", errors="replace")
