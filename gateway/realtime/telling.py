"""What this replica tells of itself: how much of each organization is connected here, for people who look."""

from collections import defaultdict
from typing import Final

import structlog

from adapters.redis.client import CacheError
from adapters.redis.nodes import Counts, NodeBoard
from core.ports import Clock
from gateway.realtime.clients import Clients

TELL_S: Final = 10.0
NAME_CHARACTERS: Final = 8


class Telling:
    """Tells it again and again.

    Args:
        board: where it is read.
        node: this replica's name.
        clients: of this replica.
        clock: for pauses.
    """

    def __init__(self, board: NodeBoard, node: str, clients: Clients, clock: Clock) -> None:
        self._board = board
        self._node = node
        self._name = f"realtime_{node[:NAME_CHARACTERS]}"
        self._clients = clients
        self._clock = clock
        self._began_at = clock.now()
        self._told: list[bytes] = []
        self._journal = structlog.get_logger()

    async def run(self) -> None:
        """Tell it every ten seconds."""
        while True:
            await self._clock.sleep(TELL_S)
            await self.tell()

    async def tell(self) -> None:
        """Tell it now."""
        counts = self.counts()
        try:
            await self._board.tell(self._node, self._name, self._began_at, counts)
        except CacheError as error:
            self._journal.warning("node.untold", error=str(error))
        self._told = list(counts)

    def counts(self) -> dict[bytes, Counts]:
        """Return what each organization has here."""
        clients: defaultdict[bytes, int] = defaultdict(int)
        users: defaultdict[bytes, set[str]] = defaultdict(set)
        channels: defaultdict[bytes, set[str]] = defaultdict(set)
        subscriptions: defaultdict[bytes, int] = defaultdict(int)
        for client in self._clients.all():
            feed, subscribed = client.feed, client.connection.subscriptions
            if feed is None or subscribed is None:
                continue
            organization_id = feed.organization_id
            clients[organization_id] += 1
            users[organization_id].add(client.user)
            channels[organization_id].update(subscribed)
            subscriptions[organization_id] += len(subscribed)
        return {
            organization_id: Counts(
                count,
                len(users[organization_id]),
                len(channels[organization_id]),
                subscriptions[organization_id],
            )
            for organization_id, count in clients.items()
        }

    async def close(self) -> None:
        """Take it back: this replica stops."""
        try:
            await self._board.leave(self._node, self._told)
        except CacheError as error:
            self._journal.warning("node.untold", error=str(error))
