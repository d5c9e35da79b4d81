"""A server that speaks the Hub's protocol over a folder of repositories.

Unmodified clients download from it: set ``HF_ENDPOINT`` to its address. Needs the ``server`` extra.
"""

from holdfast.mirror._app import Account, HubSettings, create_app
from holdfast.mirror._log import RequestLog, RequestRecord
from holdfast.mirror._objects import Commit, Entry
from holdfast.mirror._repositories import Access, Repositories
from holdfast.mirror._run import RunningHub, running_hub, serve_hub
from holdfast.mirror._storage import Signer, create_storage_app

__all__ = [
    "Access",
    "Account",
    "Commit",
    "Entry",
    "HubSettings",
    "Repositories",
    "RequestLog",
    "RequestRecord",
    "RunningHub",
    "Signer",
    "create_app",
    "create_storage_app",
    "running_hub",
    "serve_hub",
]
