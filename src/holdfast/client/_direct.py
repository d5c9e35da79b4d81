"""What of the environment counts for an address: no proxy stands between a machine and itself."""

from __future__ import annotations

import ipaddress
from typing import Any

import httpx2

__all__ = ["environment_for"]


def environment_for(url: httpx2.URL) -> dict[str, Any]:
    """Return the HTTP library's options for asking ``url``.

    A proxy that the environment names is not asked for this machine, whatever ``NO_PROXY`` says: it
    would ask its own machine, and be shown the key. Certificates are the environment's as before.
    """
    if not _is_here(url.host):
        return {"trust_env": True}
    if url.scheme != "https":
        return {"trust_env": False}
    return {"trust_env": False, "verify": httpx2.create_ssl_context()}


def _is_here(host: str) -> bool:
    name = host.rstrip(".")
    if name == "localhost" or name.endswith(".localhost"):
        return True
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        return False
    if isinstance(address, ipaddress.IPv6Address) and address.ipv4_mapped is not None:
        address = address.ipv4_mapped
    # To connect to "any address" (0.0.0.0) is to connect to this machine.
    return address.is_loopback or address.is_unspecified
