"""Files that a command writes for a person: there whole, or not at all."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

from holdfast.errors import StorageFailed
from holdfast.places import temporary_name

__all__ = ["new_file"]


@contextmanager
def new_file(path: Path) -> Iterator[BinaryIO]:
    """Yield a file that takes the place of ``path`` when the block ends well; folders are made.

    Raises:
        StorageFailed: it cannot be written; what was there before is.
    """
    path = Path(os.path.realpath(path)) if path.is_symlink() else path
    part = path.with_name(temporary_name(path.name[:100]))
    try:
        if path.exists() and not path.is_file():  # a device, or a pipe: it stays what it is
            with path.open("wb") as file:
                yield file
            return
        path.parent.mkdir(parents=True, exist_ok=True)
        with part.open("xb") as file:
            yield file
        os.replace(part, path)
    except OSError as error:
        raise StorageFailed(
            f"{path} cannot be written", why=error.strerror or str(error), hint="-o ELSEWHERE"
        ) from error
    finally:
        with contextlib.suppress(OSError):  # where it could not be made it is not there
            part.unlink()
