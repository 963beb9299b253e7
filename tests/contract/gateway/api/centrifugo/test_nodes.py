"""`info`: what replicas tell of themselves, to those who have connections there."""

from adapters.clock import SystemClock
from adapters.redis.nodes import Counts, NodeBoard
from core.instants import Instant
from tests.helpers.cache import cache_of, cache_server
from tests.helpers.loop import run
from tests.helpers.server_api import server_api_of


def test_replicas_are_shown_with_the_callers_share_of_them(database_url: str) -> None:
    async def scenario() -> None:
        async with (
            cache_server() as server,
            cache_of(server) as cache,
            server_api_of(database_url, cache_url=server.url) as api,
        ):
            org = api.rest.organization.organization_id
            assert await api.result("info") == {"nodes": []}
            clock = SystemClock()
            began_at = Instant(clock.now() - 90_500_000)
            await NodeBoard(cache, clock).tell(
                "n1", "realtime-1", began_at, {org: Counts(3, 2, 5, 7), bytes(16): Counts(9, 9, 9, 9)}
            )
            (node,) = (await api.result("info"))["nodes"]
            assert list(node) == [
                "uid", "name", "version", "num_clients", "num_users", "num_channels", "num_subs", "uptime",
            ]  # fmt: skip
            assert (node["uid"], node["name"], node["uptime"]) == ("n1", "realtime-1", 90)
            assert (node["num_clients"], node["num_users"], node["num_channels"], node["num_subs"]) == (
                3,
                2,
                5,
                7,
            )

    run(scenario())
