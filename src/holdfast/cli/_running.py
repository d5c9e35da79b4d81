"""Models in the command's own process, for as long as it needs them."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from holdfast.wiring import Services

__all__ = ["running"]


@contextmanager
def running(services: Services) -> Iterator[None]:
    """Have the models brought up while the block runs."""
    services.supervisor.start()
    try:
        yield
    finally:
        services.supervisor.close()
        services.voices.close()
