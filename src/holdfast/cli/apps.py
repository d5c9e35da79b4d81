"""Commands of the applications."""

from typing import Any


def add_commands(commands: Any) -> None:
    """Add this module's commands to the parser."""
