"""SSE, with commands by emulation or without any: `/connection/sse` and `/connection/uni_sse`."""

from typing import Final

from core.errors import Code, TidingsError
from gateway.query import read_query
from gateway.realtime.downstream import NO_STORE, Downstreams
from gateway.realtime.exchange import Exchange
from gateway.realtime.forms import Form
from gateway.realtime.opening import Transport

HEADERS: Final = {"Content-Type": "text/event-stream; charset=utf-8", **NO_STORE}
OPENING: Final = "cf_connect"
BEGINNING: Final = b"\r\n"
"""Sent at once, so that everybody on the way sees an answer."""


class Sse:
    """Opens connections whose messages are server-sent events.

    What a client says first stands in the URL of a GET, as a browser's EventSource needs it, or in the body
    of a POST; who sends no commands need not say anything.
    """

    methods = ("GET", "POST")

    def __init__(self, downstreams: Downstreams, form: Form, *, is_unidirectional: bool) -> None:
        self._downstreams = downstreams
        self._form = form
        self._silent = b"{}" if is_unidirectional else None
        self._transport: Transport = "uni_sse" if is_unidirectional else "sse"

    async def serve(self, exchange: Exchange) -> None:
        """Answer one opening request."""
        is_get = exchange.method == "GET"
        message = self._asked(exchange) if is_get else await self._downstreams.body(exchange)
        await self._downstreams.serve(
            exchange, self._form, self._transport, HEADERS, message, first=BEGINNING
        )

    def _asked(self, exchange: Exchange) -> bytes:
        asked = read_query(exchange.query, None).get(OPENING)
        if asked:
            return asked.encode()
        if self._silent is None:
            raise TidingsError(Code.MALFORMED_REQUEST, f"The query has no {OPENING}.")
        return self._silent
