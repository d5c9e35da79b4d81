"""The server: an application put together from routes, and the process that runs it.

Needs the ``server`` extra.
"""

from holdfast.server._app import create_app
from holdfast.server._run import RunningServer, running_server, serve
from holdfast.server._settings import ServerSettings

__all__ = ["RunningServer", "ServerSettings", "create_app", "running_server", "serve"]
