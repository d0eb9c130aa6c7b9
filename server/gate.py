"""The gate: which web pages may open a connection, and under which host names.

A browser lets any page connect anywhere and says in ``Origin`` whose page it is; a server that
does not look lets every site that its user visits talk to it (RFC 6455, section 10.2). And a site
can point a name of its own at 127.0.0.1 (DNS rebinding); then the page's origin and the request's
host agree, and only the host shows that the request came from elsewhere.
"""

import functools
import re
from collections.abc import Collection
from urllib.parse import urlsplit

from server.origins import ANY, FILES
from wire.address import is_loopback

__all__ = ["Gate"]

# A host and a port (RFC 9112, section 3.2), or what cannot be misread as another host.
_AUTHORITY = re.compile(r"(?:\[([0-9A-Fa-f:.]+)\]|([^][\s/?#@:\\]+))(?::[0-9]*)?")


class Gate:
    """Decides on the ``Origin`` and ``Host`` of a request.

    Args:
        origins: More origins to let in, as browsers write them; ``*`` stands for all, and then
            hosts are not checked either.
        local: Whether only this machine can connect. Then pages from files are let in, and the
            host must be this machine's.
    """

    def __init__(self, origins: Collection[str], *, local: bool) -> None:
        self._anything = ANY in origins
        self._origins = frozenset(origins)
        self._hosts = {urlsplit(origin).hostname for origin in origins}
        self._local = local

    def admits_host(self, host: str) -> bool:
        """Tell whether a request may be made to this host (the ``Host`` header)."""
        if self._anything or not self._local:
            return True
        name = _host_name(host)
        return is_loopback(name) or name in self._hosts

    def admits_origin(self, origin: str | None, host: str) -> bool:
        """Tell whether a page of this origin may connect; None is a client that is no browser."""
        if origin is None or self._anything:
            return True
        origin = origin.lower()
        if origin in self._origins:
            return True
        if origin in FILES:
            return self._local
        scheme, _, authority = origin.partition("://")
        if scheme not in ("http", "https") or not authority:
            return False
        return authority == host.lower() or is_loopback(_host_name(authority))


# The same few names come with every handshake, and parsing them is a tenth of its cost.
@functools.lru_cache(256)
def _host_name(authority: str) -> str:
    """Return the host of ``host:port`` in lower case, without the brackets of IPv6, or nothing."""
    found = _AUTHORITY.fullmatch(authority)
    return (found[1] or found[2]).lower() if found else ""
