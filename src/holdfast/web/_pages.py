"""Filling a template in. What is filled in is escaped, wherever it came from."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import jinja2

from holdfast.events import size_text

__all__ = ["STATIC", "page"]

_HERE = Path(__file__).resolve().parent
STATIC = _HERE / "static"


def _seconds_text(seconds: float) -> str:
    """Return a length of time as people read it: ``1 min 40 s``."""
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    minutes, rest = divmod(whole, 60)
    if minutes < 60:
        return f"{minutes} min {rest} s"
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes} min"


_templates = jinja2.Environment(
    loader=jinja2.FileSystemLoader(_HERE / "templates"),
    autoescape=True,
    undefined=jinja2.StrictUndefined,
    trim_blocks=True,
    lstrip_blocks=True,
)
_templates.filters["size"] = size_text
_templates.filters["seconds"] = _seconds_text


def page(name: str, **values: Any) -> str:
    """Return the template ``name`` with ``values`` in their places."""
    return _templates.get_template(name).render(values)
