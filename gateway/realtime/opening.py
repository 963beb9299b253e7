"""The request that opened a connection, as far as anybody behind the transport wants to know it."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field, replace
from typing import Literal

Transport = Literal["websocket", "sse", "http_stream", "uni_websocket", "uni_sse", "uni_http_stream"]


@dataclass(frozen=True, slots=True)
class Opening:
    """How and from where a client came.

    `headers` are in lower case; `emulated` is what the client wrote into its connect in their place.
    `has_session`: its commands come by requests of their own, which name the session. `is_unidirectional`: it
    connects and says nothing more. `has_close_frame`: the end needs no push. `has_native_pings`: those of the
    transport stand in for the protocol's.
    """

    transport: Transport
    authorization: str | None = field(default=None, repr=False)
    headers: Mapping[str, str] = field(default_factory=dict, hash=False, repr=False)
    address: str = ""
    emulated: Mapping[str, str] = field(default_factory=dict, hash=False, repr=False)
    has_session: bool = False
    has_close_frame: bool = True
    has_native_pings: bool = False
    is_unidirectional: bool = False

    def without_request(self) -> "Opening":
        """Return the same without what only this one request has."""
        return replace(self, authorization=None, headers={}, address="", emulated={})

    def with_headers(
        self, names: Collection[str], emulated: Mapping[str, str], emulated_names: Collection[str]
    ) -> "Opening":
        """Return the same with those headers alone that somebody is going to read."""
        return replace(
            self,
            authorization=None,
            headers={name: value for name, value in self.headers.items() if name in names},
            emulated={name: value for name, value in emulated.items() if name.lower() in emulated_names},
        )
