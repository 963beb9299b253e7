"""The feeds of this replica: one for each organization that has a connection here."""

from adapters.postgres.streams import LogReader
from adapters.telemetry.tasks import Tasks
from core.ports import Clock, LiveFeed
from gateway.realtime.feed import Clients, Feed
from settings import Realtime

LINGER_S = 30.0
"""How long an organization is watched after its last connection left: most come back soon."""


class Hub:
    """Opens a feed with an organization's first connection, and closes it a while after the last."""

    def __init__(
        self,
        live: LiveFeed,
        log: LogReader,
        clock: Clock,
        settings: Realtime,
        tasks: Tasks,
        clients: Clients,
    ) -> None:
        self._live = live
        self._log = log
        self._clock = clock
        self._settings = settings
        self._tasks = tasks
        self._clients = clients
        self._feeds: dict[bytes, Feed] = {}

    @property
    def feeds(self) -> list[Feed]:
        """All feeds that are open."""
        return list(self._feeds.values())

    def join(self, organization_id: bytes) -> Feed:
        """Return the organization's feed for one more connection; `leave` it when that ends."""
        feed = self._feeds.get(organization_id)
        if feed is None:
            feed = Feed(
                organization_id,
                self._live,
                self._log,
                self._clock,
                self._settings,
                self._tasks,
                self._clients,
            )
            self._feeds[organization_id] = feed
            self._live.watch(organization_id, feed)
        feed.users += 1
        return feed

    def leave(self, feed: Feed) -> None:
        """One connection of the organization ended."""
        feed.users -= 1
        if not feed.users:
            feed.idle_since_s = self._clock.monotonic()

    def sweep(self) -> None:
        """Stop watching organizations that nobody here has used for a while."""
        now = self._clock.monotonic()
        for organization_id, feed in list(self._feeds.items()):
            if not feed.users and now - feed.idle_since_s > LINGER_S:
                del self._feeds[organization_id]
                self._live.unwatch(organization_id, feed)
