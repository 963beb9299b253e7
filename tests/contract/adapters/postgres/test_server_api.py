"""Keys that were brought along open what is their organization's, and end at once."""

import asyncio

from adapters.entropy import SystemEntropy
from adapters.postgres.codec import to_uuid
from adapters.postgres.pool import Database
from adapters.postgres.queries import statements
from adapters.postgres.sealing import Sealer
from adapters.postgres.server_api import ServerApiStore, ServerKey
from tests.helpers.log import database_at, make_organization, new_id
from tests.helpers.loop import run

SEALER = Sealer(bytes(32), SystemEntropy())
SQL = statements("server_api")


async def bring_key(database: Database, organization_id: bytes, text: str) -> bytes:
    key_id = new_id()
    mark = SEALER.mark(text.encode())
    await database.execute(SQL["insert_key"], to_uuid(organization_id), mark, to_uuid(key_id))
    return key_id


def test_a_key_is_found_as_long_as_it_is_there(database_url: str) -> None:
    async def work() -> None:
        org, other = await make_organization(database_url), await make_organization(database_url)
        async with database_at(database_url) as database:
            store = ServerApiStore(database, SEALER)
            assert await store.find_key("one") is None
            one, two = await bring_key(database, org, "one"), await bring_key(database, other, "two")
            found = await asyncio.gather(*(store.find_key(text) for text in ("one", "two", "three", "one")))
            assert found == [ServerKey(org, one), ServerKey(other, two), None, ServerKey(org, one)]
            await bring_key(database, other, "one")
            assert await store.find_key("one") == ServerKey(org, one)
            await database.execute(SQL["forget_keys"], to_uuid(org))
            assert (await store.find_key("one"), await store.find_key("two")) == (None, ServerKey(other, two))

    run(work())


def test_only_the_default_organization_can_be_open_to_all(database_url: str) -> None:
    async def work() -> None:
        org, other = await make_organization(database_url), await make_organization(database_url)
        async with database_at(database_url) as database:
            store = ServerApiStore(database, SEALER)
            auth = statements("auth")["set_default_organization"]
            assert await store.open_organization() is None
            await database.execute(auth, to_uuid(org), True)  # noqa: FBT003 (an argument of the statement)
            await database.execute(SQL["put_server_api"], to_uuid(other), True, True)  # noqa: FBT003 (the same)
            assert await store.open_organization() is None
            await database.execute(SQL["put_server_api"], to_uuid(org), True, False)  # noqa: FBT003 (the same)
            assert await store.open_organization() == org
            assert [await store.errors_by_status(id_) for id_ in (org, other, new_id())] == [
                False,
                True,
                False,
            ]

    run(work())
