"""Word's documents with macros, and its templates, as plain documents."""

from __future__ import annotations

import io
import lzma
import re
import zipfile
import zlib

__all__ = ["as_docx"]

_SUFFIXES = frozenset({"docm", "dotx", "dotm"})
# By this alone they differ from a DOCX, as far as their text goes.
_TYPE = re.compile(
    rb"application/vnd\.(?:ms-word\.(?:document\.macroEnabled|template\.macroEnabledTemplate)"
    rb"|openxmlformats-officedocument\.wordprocessingml\.template)\.main\+xml"
)
_DOCX = b"application/vnd.openxmlformats-officedocument.wordprocessingml.document.main+xml"
_TYPES = "[Content_Types].xml"


def as_docx(name: str, content: bytes) -> bytes:
    """Return what is packed in a DOCM, DOTX or DOTM as a DOCX; any other document as it is.

    Macros stay in it, where nothing reads them. One that cannot be unpacked stays as it is, too:
    who reads it says so.

    Args:
        name: the document's.
        content: of it, which `inspect` has seen: unpacked it has its bounds.
    """
    if name.lower().rpartition(".")[2] not in _SUFFIXES:
        return content
    made = io.BytesIO()
    try:
        with (
            zipfile.ZipFile(io.BytesIO(content)) as packed,
            zipfile.ZipFile(made, "w", zipfile.ZIP_DEFLATED) as docx,
        ):
            for part in packed.infolist():
                data = packed.read(part)
                docx.writestr(part, _TYPE.sub(_DOCX, data) if part.filename == _TYPES else data)
    except (zipfile.BadZipFile, zlib.error, lzma.LZMAError, EOFError, OSError, RuntimeError):
        return content
    return made.getvalue()
