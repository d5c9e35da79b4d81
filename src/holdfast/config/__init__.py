"""Settings: read once, frozen, with units in their names.

What only the service needs is imported when it is asked for: every command comes through here.
"""

from typing import TYPE_CHECKING, Any

from holdfast.config._reading import Secret
from holdfast.config._settings import (
    DEFAULT_ENDPOINT,
    HUB_VARIABLES,
    Settings,
    read_token,
    token_file,
)

if TYPE_CHECKING:
    from holdfast.config._file import (
        Configuration,
        configuration,
        setting_docs,
        unknown_variables,
    )
    from holdfast.config._service import ModelSettings, ServiceSettings

__all__ = [
    "DEFAULT_ENDPOINT",
    "HUB_VARIABLES",
    "Configuration",
    "ModelSettings",
    "Secret",
    "ServiceSettings",
    "Settings",
    "configuration",
    "read_token",
    "setting_docs",
    "token_file",
    "unknown_variables",
]

_LATER = {
    "Configuration": "_file",
    "configuration": "_file",
    "setting_docs": "_file",
    "unknown_variables": "_file",
    "ModelSettings": "_service",
    "ServiceSettings": "_service",
}


def __getattr__(name: str) -> Any:
    if name not in _LATER:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from importlib import import_module

    return getattr(import_module(f"{__name__}.{_LATER[name]}"), name)
