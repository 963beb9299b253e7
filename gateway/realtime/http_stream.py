"""Streamed answers to a POST: `/connection/http_stream`; without commands `/connection/uni_http_stream`."""

from typing import Final

from gateway.realtime.downstream import NO_STORE, Downstreams
from gateway.realtime.exchange import Exchange
from gateway.realtime.forms import Form
from gateway.realtime.opening import Transport

OCTETS: Final = "application/octet-stream"
"""Who sends this speaks protobuf."""


class HttpStream:
    """Opens connections whose messages are parts of the answer's body.

    Args:
        downstreams: of the replica.
        json: the form of messages in JSON.
        protobuf: of those in protobuf; None: that is not spoken here, and clients send no commands.
    """

    methods = ("POST",)

    def __init__(self, downstreams: Downstreams, json: Form, protobuf: Form | None) -> None:
        self._downstreams = downstreams
        self._json = json
        self._protobuf = protobuf

    async def serve(self, exchange: Exchange) -> None:
        """Answer one opening request."""
        message = await self._downstreams.body(exchange)
        transport: Transport = "http_stream" if self._protobuf is not None else "uni_http_stream"
        if self._protobuf is not None and exchange.headers.get("content-type") == OCTETS:
            form, media_type = self._protobuf, OCTETS
        else:
            form, media_type = self._json, "application/json"
        headers = {"Content-Type": media_type, **NO_STORE}
        await self._downstreams.serve(exchange, form, transport, headers, message)
