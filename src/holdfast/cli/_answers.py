"""What the rounds of `holdfast check` say of an answer."""

__all__ = ["Wrong"]


class Wrong(Exception):
    """An answer that came, and is not what it should be."""
