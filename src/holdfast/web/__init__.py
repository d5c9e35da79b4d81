"""Pages for a browser: templates and static files, no logic. Needs the ``server`` extra."""

from holdfast.web._pages import STATIC, page

__all__ = ["STATIC", "page"]
