"""The proxy of a run: the one of the settings, or of the environment, as curl reads it."""

import importlib.util
from urllib.parse import unquote

from websockets.uri import WebSocketURI

from cli_client.secrets import mask_url
from wire.address import is_loopback

__all__ = ["ProxyError", "check_proxy", "find_proxy"]


class ProxyError(ValueError):
    """A proxy that cannot be used; the message says which and why."""


def check_proxy(text: str) -> str:
    """Return the URL of a proxy in full; without a scheme it is an HTTP proxy.

    Raises:
        ProxyError: If the text is not the URL of a proxy.
    """
    # Only here, as it takes a while to import.
    from websockets.exceptions import InvalidProxy
    from websockets.proxy import parse_proxy

    url = text if "://" in text else f"http://{text}"
    try:
        proxy = parse_proxy(url)
    except InvalidProxy as error:
        raise ProxyError(f"{_shown(url)} is not a proxy: {error.msg}") from None
    except ValueError as error:  # what the library does not expect: a port or escapes that are none
        raise ProxyError(f"{_shown(url)} is not a proxy: {_reason(error)}") from None
    if proxy.username is not None and ":" in unquote(proxy.username):
        # RFC 7617, section 2: Basic authentication cannot send one.
        raise ProxyError(f"{_shown(url)}: the user name must not have a colon (%3A) in it")
    if proxy.scheme.startswith("socks") and importlib.util.find_spec("python_socks") is None:
        raise ProxyError(
            "a SOCKS proxy needs the package python-socks: pip install 'wsroll[socks]'"
        )
    return url


def find_proxy(chosen: str | None, uri: WebSocketURI) -> str | None:
    """Return the proxy to go through, if there is one.

    Args:
        chosen: That of the settings; an empty text for none, None for that of the environment.
        uri: Where to.

    Raises:
        ProxyError: If it cannot be used.
    """
    # A proxy elsewhere has no way to this machine's own loopback.
    if chosen == "" or (chosen is None and is_loopback(uri.host)):
        return None
    import urllib.request

    from websockets.proxy import get_proxy

    proxy = chosen or get_proxy(uri)
    if proxy is None and not urllib.request.proxy_bypass(f"{uri.host}:{uri.port}"):
        # ALL_PROXY, which the library does not read.
        proxy = urllib.request.getproxies().get("all")
    return check_proxy(proxy) if proxy else None


def _shown(url: str) -> str:
    try:
        return mask_url(url)
    except ValueError:
        return "the text"


def _reason(error: ValueError) -> str:
    if isinstance(error, UnicodeError):
        return "its user name or password is not UTF-8"
    return str(error)
