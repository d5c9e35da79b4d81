"""Documents become text with structure."""

from holdfast.documents._errors import (
    DocumentBomb,
    DocumentDamaged,
    DocumentEmpty,
    DocumentEncrypted,
    DocumentError,
    DocumentKilled,
    DocumentTooLong,
    DocumentUnreadable,
    DocumentUnsupported,
    document_error,
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
from holdfast.documents._pool import DocumentWorkers, WorkersAsked
from holdfast.documents._work import KIND, document_job, results

__all__ = [
    "KIND",
    "OUTPUTS",
    "ConvertOptions",
    "Converted",
    "DocumentBomb",
    "DocumentDamaged",
    "DocumentEmpty",
    "DocumentEncrypted",
    "DocumentEngine",
    "DocumentError",
    "DocumentKilled",
    "DocumentTooLong",
    "DocumentUnreadable",
    "DocumentUnsupported",
    "DocumentWorkers",
    "Flaw",
    "Output",
    "Progress",
    "Status",
    "WorkersAsked",
    "document_error",
    "document_job",
    "results",
]
