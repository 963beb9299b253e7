"""Connections to whatever an organization names, on which an answer is bounded as a whole.

aiohttp bounds a line and the number of headers, and its callers what they read of a body. Neither bounds the
interim answers (1xx) that may come first, nor what stands between the chunks of a body; and it takes all that
is there in one turn of the loop.
"""

import asyncio
from functools import partial
from typing import Any, Final

from aiohttp import TCPConnector
from aiohttp.client_proto import ResponseHandler

from adapters.http.addresses import public_socket
from adapters.http.resolver import Resolver

BESIDES_BYTES: Final = 131_072
"""What an answer may have besides its body."""


class _Answers(ResponseHandler):
    """Parses the answers on one connection, each up to so many bytes; then nobody is there any more."""

    def __init__(self, loop: asyncio.AbstractEventLoop, bytes_max: int) -> None:
        super().__init__(loop)
        self._bytes_max = self._bytes_left = bytes_max

    def set_response_params(self, **of: Any) -> None:
        """Begin the next answer."""
        self._bytes_left = self._bytes_max
        super().set_response_params(**of)

    def data_received(self, data: bytes) -> None:
        """Take what came."""
        self._bytes_left -= len(data)
        if self._bytes_left >= 0:
            super().data_received(data)
        elif self.transport is not None:
            self.transport.abort()


class Connector(TCPConnector):
    """Opens connections.

    Args:
        resolver: of names.
        body_bytes_max: of an answer; its caller sees to that, and here to all the rest of it.
        private: also to private addresses.
        of: as aiohttp has it.
    """

    def __init__(self, resolver: Resolver, *, body_bytes_max: int, private: bool, **of: Any) -> None:
        super().__init__(resolver=resolver, socket_factory=None if private else public_socket, **of)
        # A body that is longer is still read up to its limit, and one piece further.
        bytes_max = 2 * body_bytes_max + BESIDES_BYTES
        loop = asyncio.get_running_loop()
        self._factory = partial(_Answers, loop, bytes_max)  # type: ignore[assignment]  # makes one of them, too
