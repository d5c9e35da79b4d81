"""Documents become text with structure."""

from holdfast.documents._errors import (
    DocumentBomb,
    DocumentDamaged,
    DocumentEmpty,
    DocumentEncrypted,
    DocumentError,
    DocumentTooLong,
    DocumentUnsupported,
)
from holdfast.documents._model import (
    OUTPUTS,
    Converted,
    ConvertOptions,
    DocumentEngine,
    Flaw,
    Output,
    Progress,
    Status,
)

__all__ = [
    "OUTPUTS",
    "ConvertOptions",
    "Converted",
    "DocumentBomb",
    "DocumentDamaged",
    "DocumentEmpty",
    "DocumentEncrypted",
    "DocumentEngine",
    "DocumentError",
    "DocumentTooLong",
    "DocumentUnsupported",
    "Flaw",
    "Output",
    "Progress",
    "Status",
]
