"""Which web pages may connect: the origins that an installation trusts with its clients' credentials."""

import re
from typing import Final

ANY: Final = "*"
PREFLIGHT_S: Final = 300

_LOCAL: Final = re.compile(r"https?://(localhost|127\.0\.0\.1|\[::1\])(:[0-9]{1,5})?", re.ASCII)
_DEFAULT_PORTS: Final = {"http": ":80", "https": ":443"}


class Origins:
    """Decides by the `Origin` of a request, which browsers alone send, and truthfully.

    Args:
        listed: origins, separated by commas; `*` is any; empty: pages that this machine serves.
        own: the installation's own origin, which is always trusted.
    """

    def __init__(self, listed: str, own: str) -> None:
        names = [name.strip() for name in listed.split(",") if name.strip()]
        self._any = ANY in names
        self._local = not names
        self._allowed = frozenset(map(_shown, [*names, own]))

    def allows(self, origin: str | None) -> bool:
        """Say whether a request may come from there; one without origin comes from no page."""
        if origin is None or self._any or origin in self._allowed:
            return True
        return self._local and _LOCAL.fullmatch(origin) is not None

    def headers(self, origin: str | None) -> dict[str, str]:
        """Return what lets the page read the answer; nothing for others (Fetch standard, §3.3)."""
        headers = {"Vary": "Origin"}
        if origin is not None and self.allows(origin):
            headers |= {"Access-Control-Allow-Origin": origin, "Access-Control-Allow-Credentials": "true"}
        return headers


def preflight(methods: str, requested: str | None) -> dict[str, str]:
    """Return what answers a page that asks first: the methods, and the headers that it wants to send."""
    headers = {"Access-Control-Allow-Methods": methods, "Access-Control-Max-Age": str(PREFLIGHT_S)}
    if requested:
        headers["Access-Control-Allow-Headers"] = requested
    return headers


def _shown(origin: str) -> str:
    """Return an origin as browsers write it (RFC 6454 §6.1): lower case, no slash, no default port."""
    origin = origin.lower().rstrip("/")
    return origin.removesuffix(_DEFAULT_PORTS.get(origin.partition(":")[0], "/"))
