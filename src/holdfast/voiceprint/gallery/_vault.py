"""Sealing templates: every speaker has a key, and all keys are wrapped by one that lives elsewhere.

AES-256-GCM by the ``cryptography`` library. A speaker's templates can be read only with both keys,
so that destroying the wrapped one erases them, in old copies of the templates too.
"""

from __future__ import annotations

import base64
import binascii
import hmac
import os
from collections.abc import Callable
from hashlib import sha256

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from holdfast.voiceprint.gallery._errors import TemplateTampered, VaultKeyWrong

__all__ = ["KEY_BYTES", "Vault", "new_key", "read_key"]

KEY_BYTES = 32
_NONCE_BYTES = 12
_PROOF = b"holdfast voiceprint vault 1"


def new_key() -> str:
    """Return a new master key, as text for a file or a variable."""
    return base64.b64encode(os.urandom(KEY_BYTES)).decode("ascii")


def read_key(text: str) -> bytes:
    """Return the master key that ``text`` holds.

    Raises:
        VaultKeyWrong: it is no key of 32 bytes in base64.
    """
    try:
        key = base64.b64decode(text.strip(), validate=True)
    except (binascii.Error, ValueError):
        key = b""
    if len(key) != KEY_BYTES:
        raise VaultKeyWrong(
            "the voiceprint key is no key",
            why=f"it must be {KEY_BYTES} bytes in base64",
            hint="give the key that the voices were enrolled with, from a copy; only where none "
            "are enrolled yet a new one will do: openssl rand -base64 32",
        )
    return key


class Vault:
    """Seals and opens with one master key. Safe to use from several threads.

    Args:
        key: 32 bytes.
    """

    def __init__(self, key: bytes) -> None:
        self._wrapping = AESGCM(_derived(key, b"wrapping"))
        self._facts = AESGCM(_derived(key, b"facts"))
        self._audit_key = _derived(key, b"audit")
        self._rotation_key = _derived(key, b"rotation")

    def proof(self) -> bytes:
        """Return what `check` recognises this key by."""
        return self._seal(self._wrapping, _PROOF, b"proof")

    def check(self, proof: bytes) -> None:
        """Make sure that ``proof`` was made with this key.

        Raises:
            VaultKeyWrong: it was made with another one.
        """
        try:
            _open(self._wrapping, proof, b"proof")
        except InvalidTag as error:
            raise VaultKeyWrong(
                "the voiceprint key does not fit",
                why="the templates here were sealed with another one",
                hint="give the key that they were enrolled with: HOLDFAST_VOICEPRINT_KEY, or the "
                "key file",
            ) from error

    def new_speaker_key(self, speaker: str) -> bytes:
        """Return a new speaker's key, wrapped."""
        return self._seal(self._wrapping, os.urandom(KEY_BYTES), b"key:" + speaker.encode())

    def seal(self, speaker: str, wrapped: bytes, content: bytes, what: str) -> bytes:
        """Return ``content`` sealed with a speaker's key, bound to the speaker and to ``what``."""
        return self._seal(self._unwrapped(speaker, wrapped), content, _bound(speaker, what))

    def open(self, speaker: str, wrapped: bytes, sealed: bytes, what: str) -> bytes:
        """Return what `seal` sealed.

        Raises:
            TemplateTampered: it was changed, or belongs to something else.
        """
        return self.opener(speaker, wrapped)(sealed, what)

    def opener(self, speaker: str, wrapped: bytes) -> Callable[[bytes, str], bytes]:
        """Return what opens one speaker's content, `open` without the first two arguments.

        Raises:
            TemplateTampered: the wrapped key was changed, or is another's.
        """
        cipher = self._unwrapped(speaker, wrapped)

        def opened(sealed: bytes, what: str) -> bytes:
            try:
                return _open(cipher, sealed, _bound(speaker, what))
            except InvalidTag as error:
                raise _tampered(speaker, what) from error

        return opened

    def seal_fact(self, name: str, content: bytes) -> bytes:
        """Return something sealed that is no speaker's, bound to its name."""
        return self._seal(self._facts, content, name.encode())

    def open_fact(self, name: str, sealed: bytes) -> bytes:
        """Return what `seal_fact` sealed.

        Raises:
            TemplateTampered: it was changed, or is something else.
        """
        try:
            return _open(self._facts, sealed, name.encode())
        except InvalidTag as error:
            raise TemplateTampered(
                f"what is stored as {name} cannot be opened", why="it was changed from outside",
                hint="restore the gallery from a copy, or make it anew: holdfast voiceprint "
                "calibrate",
            ) from error  # fmt: skip

    def rotation_key(self, model: str) -> bytes:
        """Return the key of the rotation that a model's searched vectors are turned by."""
        return _derived(self._rotation_key, model.encode())

    def chain(self, before: bytes, line: str) -> bytes:
        """Return the seal of an audit line that follows the one sealed with ``before``."""
        return hmac.new(self._audit_key, before + line.encode(), sha256).digest()

    def _unwrapped(self, speaker: str, wrapped: bytes) -> AESGCM:
        try:
            return AESGCM(_open(self._wrapping, wrapped, b"key:" + speaker.encode()))
        except InvalidTag as error:
            raise _tampered(speaker, "key") from error

    @staticmethod
    def _seal(cipher: AESGCM, content: bytes, bound: bytes) -> bytes:
        nonce = os.urandom(_NONCE_BYTES)
        return nonce + cipher.encrypt(nonce, content, bound)


def _open(cipher: AESGCM, sealed: bytes, bound: bytes) -> bytes:
    # A column of SQLite's holds whatever was put there.
    if not isinstance(sealed, bytes) or len(sealed) <= _NONCE_BYTES:
        raise InvalidTag
    return cipher.decrypt(sealed[:_NONCE_BYTES], sealed[_NONCE_BYTES:], bound)


def _bound(speaker: str, what: str) -> bytes:
    # The length keeps "a" + "bc" from being "ab" + "c".
    return f"{len(speaker)}:{speaker}:{what}".encode()


def _derived(key: bytes, purpose: bytes) -> bytes:
    info = b"holdfast voiceprint " + purpose
    return HKDF(algorithm=SHA256(), length=KEY_BYTES, salt=None, info=info).derive(key)


def _tampered(speaker: str, what: str) -> TemplateTampered:
    return TemplateTampered(
        f"what is stored of speaker {speaker!r} cannot be opened",
        why=f"its {what} was changed, or is another speaker's",
        hint=f"restore the gallery from a copy, or erase the speaker: holdfast voiceprint speakers "
        f"--erase {speaker}",
        speaker=speaker,
    )
