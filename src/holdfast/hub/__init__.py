"""The Hub: its protocol, one transport, and downloads that resume."""

from holdfast.hub._client import HubClient
from holdfast.hub._download import Download, Downloader
from holdfast.hub._partial import Partial, claimed

__all__ = ["Download", "Downloader", "HubClient", "Partial", "claimed"]
