"""One request on its way through the API, and its answer: read by hand, since every write passes here."""

import re
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import Final

from core.auth.principal import Principal
from core.errors import Code, TidingsError
from gateway.query import check_encoding, decoded

Header = tuple[bytes, bytes]
"""Name in lower case, and value."""

NO_STORE: Final = b"no-store"
PRIVATE: Final = b"private, no-cache"
PUBLIC: Final = b"public, max-age=300"
JSON: Final = b"application/json"
MERGE_PATCH: Final = b"application/merge-patch+json"

# Headers that a request has once or not at all; every other repeated one is a list (RFC 9110 §5.3).
_SINGLE: Final = frozenset(
    {b"authorization", b"content-type", b"content-encoding", b"content-length", b"tidings-version", b"host"}
)
_IDEMPOTENCY_KEY: Final = b"idempotency-key"
_UNRESERVED: Final = re.compile(r"%(2[dDeE]|3[0-9]|4[1-9a-fA-F]|5[0-9aA]|5[fF]|6[1-9a-fA-F]|7[0-9aA]|7[eE])")


@dataclass(slots=True)
class Call:
    """One request: who asks what. `path` is as it was sent, `params` and `query` are decoded."""

    request_id: bytes
    method: str
    path: str
    params: dict[str, str]
    query: dict[str, str]
    headers: dict[bytes, bytes]
    principal: Principal
    body: bytes = b""

    @property
    def organization_id(self) -> bytes:
        """The organization that the credential belongs to: the only one this call can see."""
        return self.principal.organization_id


@dataclass(frozen=True, slots=True)
class Answer:
    """What a handler answers; the shell adds what every answer has."""

    status: int
    body: bytes = b""
    headers: tuple[Header, ...] = ()
    media_type: bytes = JSON
    cache: bytes = NO_STORE


Handle = Callable[[Call], Awaitable[Answer]]


@dataclass(frozen=True, slots=True)
class Endpoint:
    """One method of a route.

    `scope`: what the caller must be allowed; None: nobody is asked who he is. `parameters`: the query
    parameters that exist; None: the handler judges them itself. `media_types`: of the body; empty: none is
    read.
    """

    handle: Handle
    scope: str | None
    parameters: frozenset[str] | None = frozenset()
    media_types: frozenset[bytes] = frozenset()


@dataclass(frozen=True, slots=True)
class Route:
    """A path (`{name:str}` stands for one segment) and what can be done there. GET is HEAD, too."""

    path: str
    endpoints: Mapping[str, Endpoint]
    allow: str = field(init=False)

    def __post_init__(self) -> None:
        methods = [*self.endpoints, *(["HEAD"] if "GET" in self.endpoints else []), "OPTIONS"]
        object.__setattr__(self, "allow", ", ".join(methods))

    def endpoint(self, method: str) -> Endpoint:
        """Return what answers a method.

        Raises:
            TidingsError: `method_not_allowed`.
        """
        endpoint = self.endpoints.get("GET" if method == "HEAD" else method)
        if endpoint is None:
            raise TidingsError(Code.METHOD_NOT_ALLOWED, f"This path knows {self.allow}.", allow=self.allow)
        return endpoint


def read_headers(raw: list[Header]) -> dict[bytes, bytes]:
    """Return the headers by lower-case name.

    Raises:
        TidingsError: `idempotency_key_invalid` or `header_invalid`, one that stands alone was sent twice.
    """
    headers = dict(raw)
    if len(headers) == len(raw):
        return headers
    joined: dict[bytes, bytes] = {}
    for name, value in raw:
        if name not in joined:
            joined[name] = value
        elif name == _IDEMPOTENCY_KEY:
            raise TidingsError(Code.IDEMPOTENCY_KEY_INVALID, "Idempotency-Key was sent twice.")
        elif name in _SINGLE:
            text = name.decode("latin-1")
            raise TidingsError(Code.HEADER_INVALID, f"{text} was sent twice.", header=text)
        else:
            joined[name] += b", " + value
    return joined


def read_path(raw: bytes) -> str:
    """Return a path whose segments are still percent-encoded, so that a `/` inside of one stays inside.

    Raises:
        TidingsError: `malformed_request`, a broken encoding; `route_not_found`, an empty segment: a path and
            the same path with a slash at its end are two, and we serve one.
    """
    if b"%" in raw:
        check_encoding(raw)
        path = _UNRESERVED.sub(lambda match: chr(int(match[1], 16)), raw.decode("latin-1"))
    else:
        path = raw.decode("latin-1")
    if "//" in path or (path.endswith("/") and path != "/"):
        raise TidingsError(Code.ROUTE_NOT_FOUND)
    return path


def read_segment(segment: str) -> str:
    """Return one segment of a path as its text.

    Raises:
        TidingsError: `malformed_request`, it is not UTF-8.
    """
    return segment if "%" not in segment else decoded(segment.encode("latin-1"))
