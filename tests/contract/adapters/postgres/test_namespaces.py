"""Rules of organizations in a real database: what is stored comes back, alone and in its organization."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

import msgspec
import pytest

from adapters.entropy import SystemEntropy
from adapters.postgres.auth import AuthStore
from adapters.postgres.namespaces import Neighbours, RuleStore, StoredNamespace
from adapters.postgres.pool import Database
from adapters.postgres.sealing import Sealer
from core.channels.namespace import OWN, ChannelRules, ClientOptions, Options, PersonalChannel
from tests.helpers.loop import run

CHAT = Options(presence=True, history="window", history_size=10, history_ttl_s=60)


@dataclass(frozen=True)
class Stores:
    """Both ways to the rules, and two organizations."""

    rules: RuleStore
    auth: AuthStore
    one: bytes
    other: bytes

    async def put(self, name: str, options: Options | None, organization_id: bytes = b"") -> None:
        await self.rules.change_namespace(organization_id or self.one, name, lambda _stored, _count: options)

    async def in_force(self, organization_id: bytes) -> ChannelRules:
        organization = await self.auth.organization(organization_id)
        assert organization is not None
        return organization.channels


@asynccontextmanager
async def stores_of(url: str) -> AsyncIterator[Stores]:
    entropy = SystemEntropy()
    database = await Database.open(url, 4)
    auth = AuthStore(database, Sealer(bytes(32), entropy), entropy)
    try:
        one, other = [await auth.create_organization(name, "test") for name in ("one", "other")]
        yield Stores(RuleStore(database), auth, one.organization_id, other.organization_id)
    finally:
        await database.close()


def test_an_organization_is_read_with_all_its_rules_and_nobody_elses(database_url: str) -> None:
    async def scenario() -> None:
        async with stores_of(database_url) as stores:
            assert await stores.in_force(stores.one) == ChannelRules()
            await stores.put("chat", CHAT)
            await stores.put("_", Options())
            rules = await stores.in_force(stores.one)
            assert rules == ChannelRules(Options(), {"chat": CHAT})
            assert await stores.in_force(stores.other) == ChannelRules()
            assert (await stores.in_force(stores.other)).without is OWN
            listed = {one.organization_id: one.channels for one in await stores.auth.organizations()}
            assert listed == {stores.one: rules, stores.other: ChannelRules()}
            assert await stores.rules.namespace(stores.other, "chat") is None
            await stores.put("chat", None, stores.other)
            assert await stores.rules.namespace(stores.one, "chat") is not None

    run(scenario())


def test_a_change_counts_the_version_and_one_that_changes_nothing_does_not(database_url: str) -> None:
    async def scenario() -> None:
        async with stores_of(database_url) as stores:
            seen: list[StoredNamespace | None] = []
            for options in (CHAT, CHAT, OWN, None, CHAT):

                def change(
                    stored: StoredNamespace | None, beside: Neighbours, options: Options | None = options
                ) -> Options | None:
                    assert beside == Neighbours(int(stored is not None), ())
                    return options

                seen.append(await stores.rules.change_namespace(stores.one, "chat", change))
            assert [stored and (stored.version, stored.options) for stored in seen] == [
                (1, CHAT),
                (1, CHAT),
                (2, OWN),
                None,
                (1, CHAT),
            ]
            assert await stores.rules.namespace(stores.one, "chat") == seen[-1]
            changed = seen[2]
            assert changed is not None
            assert changed.created_at < changed.updated_at

    run(scenario())


def test_a_change_knows_the_expressions_of_the_other_namespaces_of_the_organization(
    database_url: str,
) -> None:
    async def scenario() -> None:
        async with stores_of(database_url) as stores:
            for name, regex in (("a", "^a"), ("b", "^b"), ("c", "")):
                await stores.put(name, Options(channel_regex=regex))
            await stores.put("d", Options(channel_regex="^d"), stores.other)

            def change(_stored: StoredNamespace | None, beside: Neighbours) -> Options:
                assert beside == Neighbours(3, ("^a",))
                return Options(channel_regex="^b$")

            assert await stores.rules.change_namespace(stores.one, "b", change) is not None

    run(scenario())


def test_a_change_that_raises_has_changed_nothing(database_url: str) -> None:
    async def scenario() -> None:
        async with stores_of(database_url) as stores:
            await stores.put("chat", CHAT)

            def refuse(stored: StoredNamespace | None, _beside: Neighbours) -> Options | None:
                assert stored is not None
                raise LookupError(stored.name)

            with pytest.raises(LookupError, match="chat"):
                await stores.rules.change_namespace(stores.one, "chat", refuse)
            assert (await stores.in_force(stores.one)).namespaces == {"chat": CHAT}

    run(scenario())


def test_changes_of_one_organization_follow_one_another(database_url: str) -> None:
    async def scenario() -> None:
        async with stores_of(database_url) as stores:

            def one_more(stored: StoredNamespace | None, _beside: Neighbours) -> Options:
                return Options(history_size=stored.options.history_size + 1 if stored else 1)

            changes = [stores.rules.change_namespace(stores.one, "chat", one_more) for _ in range(20)]
            await asyncio.gather(*changes)
            stored = await stores.rules.namespace(stores.one, "chat")
            assert stored is not None
            assert (stored.version, stored.options.history_size) == (20, 20)

    run(scenario())


def test_namespaces_are_listed_in_the_order_of_their_bytes(database_url: str) -> None:
    async def scenario() -> None:
        async with stores_of(database_url) as stores:
            names = ["aa", "B.", "_", "a-", "ZZ"]
            for name in names:
                await stores.put(name, CHAT)
            await stores.put("elsewhere", CHAT, stores.other)
            page = await stores.rules.namespaces(stores.one, "", 3)
            assert [stored.name for stored in page] == sorted(names)[:3]
            rest = await stores.rules.namespaces(stores.one, page[-1].name, 3)
            assert [stored.name for stored in rest] == sorted(names)[3:]

    run(scenario())


def test_what_an_organization_chooses_is_in_force_and_its_secret_stays(database_url: str) -> None:
    async def scenario() -> None:
        async with stores_of(database_url) as stores:
            before = await stores.auth.organization(stores.one)
            personal = PersonalChannel(enabled=True, namespace="users", single_connection=True)
            changed = await stores.rules.change_organization(
                stores.one,
                lambda stored: msgspec.structs.replace(
                    stored.options,
                    name="Acme",
                    client_publish=True,
                    anonymous=True,
                    client_insecure=True,
                    unknown_namespaces="refuse",
                    require_idempotency_key=True,
                    user_personal_channel=personal,
                    channels_max=7,
                    connections_per_user_max=3,
                ),
            )
            assert await stores.rules.organization(stores.one) == changed
            assert (changed.version, changed.environment, changed.status) == (2, "test", "active")
            organization = await stores.auth.organization(stores.one)
            assert before is not None
            assert organization is not None
            assert organization.token_secret == before.token_secret
            assert organization.name == "Acme"
            assert organization.client_publish
            assert organization.anonymous
            assert organization.client_insecure
            assert organization.require_idempotency_key
            clients = ClientOptions(
                user_personal_channel=personal, channels_max=7, connections_per_user_max=3
            )
            assert organization.channels == ChannelRules(unknown="refuse", clients=clients)
            same = await stores.rules.change_organization(stores.one, lambda stored: stored.options)
            assert same == changed
            other = await stores.rules.organization(stores.other)
            assert other is not None
            assert (other.version, other.options.name) == (1, "other")
            assert await stores.rules.organization(bytes(16)) is None

    run(scenario())
