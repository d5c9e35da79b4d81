"""What can be wrong with asking the language model."""

from __future__ import annotations

from holdfast.errors import HoldfastError

__all__ = ["AnsweredElsewhere", "LanguageUnavailable"]


class LanguageUnavailable(HoldfastError):
    """A question to a language model that is not there, or that cannot be asked."""

    code = "language-unavailable"
    exit_code = 10
    http_status = 503


class AnsweredElsewhere(HoldfastError):
    """An order about a model that another server answers for: its state is that server's."""

    code = "answered-elsewhere"
    exit_code = 10
    http_status = 409
