"""A look at a document before anything opens it: is it what it says, and can it be unpacked?"""

from __future__ import annotations

import io
import zipfile

from holdfast.documents._errors import (
    DocumentBomb,
    DocumentDamaged,
    DocumentEmpty,
    DocumentEncrypted,
)

__all__ = ["inspect"]

# What office formats are packed in shrinks text to a tenth or less, hardly ever to a hundredth.
_MOST_UNPACKED = 1_000_000_000
_MOST_RATIO = 200
_HARMLESS = 50_000_000
_MOST_PARTS = 20_000
# OLE: the old office formats, and the new ones behind a password.
_OLE = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1"
_PACKED = frozenset({
    "docx", "dotx", "docm", "dotm", "pptx", "potx", "ppsx", "pptm", "xlsx", "xltx", "xlsm", "xltm",
    "odt", "ods", "odp", "ott", "ots", "otp", "epub",
})  # fmt: skip


def inspect(name: str, content: bytes) -> None:
    """Look at a document.

    Raises:
        DocumentEmpty: there is nothing in it.
        DocumentEncrypted: it is an office document behind a password.
        DocumentDamaged: it is none although its name says so.
        DocumentBomb: unpacked it would be too large.
    """
    if not content:
        raise DocumentEmpty(
            f"{name} is empty", why="it has no bytes", hint="send the file itself, not its name"
        )
    suffix = name.lower().rpartition(".")[2]
    if suffix in _PACKED:
        _check_packed(name, content)
    elif suffix == "pdf" and b"%PDF-" not in content[:1024]:
        raise DocumentDamaged(
            f"{name} is no PDF", why="it does not begin as one", hint="open it in a viewer"
        )


def _check_packed(name: str, content: bytes) -> None:
    if content.startswith(_OLE):
        raise DocumentEncrypted(
            f"{name} wants a password", why="it is an office document that was encrypted",
            hint="save it without one",
        )  # fmt: skip
    try:
        with zipfile.ZipFile(io.BytesIO(content)) as packed:
            parts = packed.infolist()
    except (zipfile.BadZipFile, ValueError, EOFError, NotImplementedError) as error:
        raise DocumentDamaged(
            f"{name} is damaged", why=f"it cannot be unpacked: {error}",
            hint="open it in an office program, and save it again",
        ) from error  # fmt: skip
    size = sum(part.file_size for part in parts)
    if size > _MOST_UNPACKED or len(parts) > _MOST_PARTS:
        raise _bomb(name, f"it has {len(parts)} parts of {size / 1e6:.0f} MB")
    for part in parts:
        if part.file_size > _HARMLESS and part.file_size > _MOST_RATIO * part.compress_size:
            raise _bomb(
                name, f"{part.compress_size} bytes in it become {part.file_size / 1e6:.0f} MB"
            )


def _bomb(name: str, why: str) -> DocumentBomb:
    return DocumentBomb(
        f"{name} would take too much room", why=why, hint="no document needs that: look inside"
    )
