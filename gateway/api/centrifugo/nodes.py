"""`info`: the replicas that hold connections of the caller's organization."""

from typing import Final

import msgspec

from adapters.redis.nodes import NodeBoard
from core.errors import Code, TidingsError
from gateway.api.centrifugo.caller import Caller
from gateway.api.centrifugo.requests import Info

_ENCODER: Final = msgspec.json.Encoder()


class _Node(msgspec.Struct, frozen=True):
    uid: str
    name: str
    version: str
    num_clients: int
    num_users: int
    num_channels: int
    num_subs: int
    uptime: int


class _Nodes(msgspec.Struct, frozen=True):
    nodes: list[_Node]


class Nodes:
    """Tells of replicas what they told of themselves."""

    def __init__(self, board: NodeBoard, version: str) -> None:
        self._board = board
        self._version = version

    async def info(self, caller: Caller, _request: Info) -> bytes:
        """Return the replicas."""
        if not caller.principal.allows("channels:read"):
            raise TidingsError(Code.PERMISSION_DENIED)
        nodes = await self._board.nodes(caller.organization_id)
        return _ENCODER.encode(
            _Nodes(
                [
                    _Node(
                        node.uid,
                        node.name,
                        self._version,
                        node.counts.clients,
                        node.counts.users,
                        node.counts.channels,
                        node.counts.subscriptions,
                        node.uptime_s,
                    )
                    for node in nodes
                ]
            )
        )
