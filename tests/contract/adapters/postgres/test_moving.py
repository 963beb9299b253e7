"""A move sets everything at once, and a reset leaves a log that begins anew."""

from typing import Any

import pytest

from adapters.clock import SystemClock
from adapters.entropy import SystemEntropy
from adapters.postgres.auth import AuthStore
from adapters.postgres.backend import BackendStore
from adapters.postgres.channels import EMPTY, ChannelFloors, ChannelReader
from adapters.postgres.codec import to_uuid
from adapters.postgres.moving import Mover
from adapters.postgres.pool import Database
from adapters.postgres.sealing import Sealer
from adapters.postgres.server_api import ServerApiStore
from adapters.postgres.streams import LogReader
from core.auth.principal import Organization
from core.errors import Code, TidingsError
from core.moving.backends import options_of
from core.moving.plan import Plan, plan_of
from core.streams.outcome import Committed
from settings import Log
from tests.helpers.log import database_at
from tests.helpers.loop import run
from tests.helpers.owners import owner_of, publish

ENTROPY = SystemEntropy()
SEALER = Sealer(bytes(32), ENTROPY)
QUICK = Log(lease_renew_s=0.1)
CONFIGURATION: dict[str, Any] = {
    "client": {
        "token": {"hmac_secret_key": "s"},
        "insecure": True,
        "channel_limit": 9,
        "proxy": {"connect": {"enabled": True, "endpoint": "http://b"}},
    },
    "channel": {"without_namespace": {"presence": True}, "namespaces": [{"name": "chat", "history_size": 1}]},
    "http_api": {"key": "K", "insecure": True},
}
COUNTS = """
SELECT (SELECT count(*) FROM events WHERE organization_id = $1),
       (SELECT count(*) FROM channel_entries WHERE organization_id = $1),
       (SELECT count(*) FROM channel_heads WHERE organization_id = $1),
       (SELECT count(*) FROM channel_floors WHERE organization_id = $1),
       (SELECT count(*) FROM idempotency_keys WHERE organization_id = $1)
"""


def plan(configuration: dict[str, Any]) -> Plan:
    return plan_of(configuration, {}, frozenset())


def mover_of(database: Database) -> Mover:
    return Mover(database, SEALER, ENTROPY, SystemClock())


async def organizations(database: Database) -> tuple[AuthStore, Organization, Organization]:
    store = AuthStore(database, SEALER, ENTROPY)
    return (
        store,
        await store.create_organization("one", "test"),
        await store.create_organization("two", "test"),
    )


def test_a_move_sets_everything_and_another_leaves_nothing_of_it(database_url: str) -> None:
    async def work() -> None:
        async with database_at(database_url) as database:
            store, organization, _ = await organizations(database)
            org, mover, moved = organization.organization_id, mover_of(database), plan(CONFIGURATION)
            backends, keys = BackendStore(database, SEALER), ServerApiStore(database, SEALER)
            await mover.configure(org, moved, options_of(moved.backend, bytes(24)))
            found = await store.organization(org)
            assert found is not None
            assert (found.client_insecure, found.anonymous, found.name) == (True, False, "one")
            assert found.channels == moved.rules
            assert found.token_keys.hmac_secret == b"s"
            backend = await backends.find(org)
            assert backend is not None
            assert backend.url_of("connect") == "http://b"
            assert (await keys.find_key("K")) is not None

            await mover.configure(org, plan({}), None)
            found = await store.organization(org)
            assert found is not None
            assert (found.client_insecure, dict(found.channels.namespaces)) == (False, {})
            assert found.channels.unknown == "refuse"
            assert found.token_keys.hmac_secret == b""
            assert await backends.find(org) is None
            assert await keys.find_key("K") is None

    run(work())


def test_a_key_of_another_organization_stops_the_whole_move(database_url: str) -> None:
    async def work() -> None:
        async with database_at(database_url) as database:
            store, one, two = await organizations(database)
            mover, moved = mover_of(database), plan(CONFIGURATION)
            await mover.configure(one.organization_id, moved, None)
            with pytest.raises(TidingsError) as caught:
                await mover.configure(two.organization_id, moved, None)
            assert caught.value.code is Code.ALREADY_EXISTS
            found = await store.organization(two.organization_id)
            assert found is not None
            assert (found.client_insecure, found.channels.unknown) == (False, "allow")
            await mover.configure(one.organization_id, moved, None)  # its own is no other's

    run(work())


def test_a_reset_begins_the_log_anew_under_its_running_owner(database_url: str) -> None:
    async def work() -> None:
        async with (
            owner_of(database_url, partitions=frozenset(range(4)), settings=QUICK) as owner,
            database_at(database_url) as database,
        ):
            _, one, two = await organizations(database)
            for organization in (one, two):
                for number in range(3):
                    command = publish(organization.organization_id, f"c{number}", key=f"k{number}")
                    assert isinstance(await owner.submit(command), Committed)
            before = await owner.head(one.organization_id)
            await ChannelFloors(database).remove(one.organization_id, "c0", up_to_offset=1)

            await mover_of(database).reset(one.organization_id)

            row = await database.fetchrow(COUNTS, to_uuid(one.organization_id))
            assert tuple(row) == (0, 0, 0, 0, 0)
            head = await owner.head(one.organization_id)
            assert (head.seq, before.seq) == (0, 3)
            assert head.epoch != before.epoch
            outcome = await owner.submit(publish(one.organization_id, "c0", key="k0"))
            assert isinstance(outcome, Committed)
            assert (outcome.seq, outcome.offsets, outcome.epoch) == (1, (1,), head.epoch)
            reader = ChannelReader(database, retention_days=30)
            assert (await reader.head(one.organization_id, "c1", up_to_seq=9)) == EMPTY
            assert (await reader.head(two.organization_id, "c1", up_to_seq=9)).last_offset == 1
            theirs = await owner.submit(publish(two.organization_id, "c0"))
            assert isinstance(theirs, Committed)
            assert theirs.offsets == (2,)

    run(work())


def test_a_log_that_nobody_writes_is_reset_at_once(database_url: str) -> None:
    async def work() -> None:
        async with database_at(database_url) as database:
            _, organization, _ = await organizations(database)
            reader = LogReader(database, retention_days=30)
            before = await reader.stream_head(organization.organization_id)
            await mover_of(database).reset(organization.organization_id)
            assert (await reader.stream_head(organization.organization_id)).epoch != before.epoch

    run(work())
