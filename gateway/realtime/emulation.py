"""`POST /emulation`: the commands of a client whose connection is an answer, here or on another replica."""

from typing import Protocol

from core.connections.codec import ProtocolError
from core.connections.emulation import read_call
from core.errors import Code, TidingsError
from gateway.realtime.downstream import Downstreams
from gateway.realtime.exchange import Exchange
from gateway.realtime.http_stream import OCTETS


class Post(Protocol):
    """The way to the other replicas."""

    async def deliver(self, node: str, session: str, data: bytes) -> bool:
        """Hand commands to a session of another replica, and return once it has them; False: there is none.

        Raises:
            TidingsError: `unavailable`, nobody can say.
        """
        ...


class Emulation:
    """Takes calls for every replica, since an edge does not know which one holds a session.

    Commands of one call stay in order; two calls are two requests, and one may overtake the other.
    """

    methods = ("POST",)

    def __init__(self, downstreams: Downstreams, post: Post) -> None:
        self._downstreams = downstreams
        self._node = downstreams.replica.node
        self._post = post

    async def serve(self, exchange: Exchange) -> None:
        """Answer one call once its session has the commands."""
        body = await self._downstreams.body(exchange)
        try:
            call = read_call(body, is_protobuf=exchange.headers.get("content-type") == OCTETS)
        except ProtocolError:
            detail = "Send session, node and data: commands as a string."
            raise TidingsError(Code.MALFORMED_REQUEST, detail) from None
        if call.node == self._node:
            is_there = await self._downstreams.deliver(call.session, call.data)
        else:
            is_there = await self._post.deliver(call.node, call.session, call.data)
        if not is_there:
            raise TidingsError(Code.NOT_FOUND, "There is no such session.")
        await exchange.begin(204, {"Cache-Control": "no-store"})
        await exchange.end()
