"""Addresses of model servers, as people write them."""

from __future__ import annotations

import ipaddress
import re
from urllib.parse import urlsplit, urlunsplit

from agnocli.errors import ConfigError


def ollama_host(value: str) -> str:
    """OLLAMA_HOST as Ollama reads it: host, :port, host:port or a URL."""
    url = value if "://" in value else f"http://{value}"
    parts = urlsplit(url if not value.startswith(":") else f"http://localhost{value}")
    netloc = parts.netloc.replace("0.0.0.0", "127.0.0.1")
    if "://" not in value and not re.search(r":\d+$", netloc):
        netloc += ":11434"
    path = parts.path.rstrip("/")
    return urlunsplit(
        (parts.scheme, netloc, path if path.endswith("/v1") else f"{path}/v1", "", "")
    )


def checked(url: str, origin: str) -> str:
    """The URL without what people paste behind it: a slash, `/chat/completions`."""
    try:
        parts = urlsplit(url)
        usable = parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
    except ValueError:
        usable = False
    if not usable or re.search(r"\s", url):
        raise ConfigError(
            f"{origin}: {shown_url(url)!r} is not an http(s) address",
            hint="write it as http://HOST:PORT/v1",
        )
    return url.rstrip("/").removesuffix("/chat/completions").rstrip("/")


def is_local(url: str) -> bool:
    """Whether it is this machine, where a server seldom wants a key."""
    host = urlsplit(url).hostname or ""
    if host == "localhost" or host.endswith(".localhost"):
        return True
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        return False
    return address.is_loopback or address.is_unspecified


def shown_url(url: str) -> str:
    """The URL without user, password and query."""
    bare = re.sub(r"(?<=//)[^/@]*@", "", url)
    return bare.partition("?")[0]
