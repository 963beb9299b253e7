"""A REST replica whose organization has moved here, with the key for `/api` that it had."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

import asyncpg
import orjson

from adapters.entropy import SystemEntropy
from adapters.postgres.codec import to_uuid
from adapters.postgres.queries import statements
from adapters.postgres.sealing import Sealer
from core.streams.event import EphemeralPublication, Head, LiveBatch
from tests.helpers.rest import Answer, Rest, rest_of

KEY = "old key"


@dataclass
class ServerApi:
    """The replica, and calls as a client of Centrifugo makes them."""

    rest: Rest
    database_url: str

    async def post(self, path: str, body: Any = None, **headers: str) -> Answer:
        """Send one request with the key, unless another way to bring one is given."""
        if not {"x_api_key", "authorization"} & headers.keys() and "?" not in path:
            headers["x_api_key"] = KEY
        headers = {name: value for name, value in headers.items() if value}
        return await self.rest.call("POST", path, {} if body is None else body, key="", **headers)

    async def result(self, method: str, **request: Any) -> Any:
        """Return the result of a method that succeeds."""
        answer = await self.post(f"/api/{method}", request)
        assert (answer.status, list(answer.body)) == (200, ["result"]), answer.raw
        return answer.body["result"]

    async def error(self, method: str, **request: Any) -> int:
        """Return the code of a method that fails."""
        answer = await self.post(f"/api/{method}", request)
        assert (answer.status, list(answer.body)) == (200, ["error"]), answer.raw
        code: int = answer.body["error"]["code"]
        return code

    async def namespaces(self, **namespaces: dict[str, Any]) -> None:
        """Give the organization these namespaces alone; `_` are the channels without one."""
        await self.execute(
            "UPDATE organizations SET unknown_namespaces = 'refuse' WHERE organization_id = $1", self.row
        )
        for name, options in namespaces.items():
            text = orjson.dumps(options).decode()
            await self.execute(
                "INSERT INTO channel_namespaces (organization_id, name, options) VALUES ($1, $2, $3)",
                self.row,
                name,
                text,
            )

    async def put(self, *, is_open: bool = False, errors_by_status: bool = False) -> None:
        """Say how its `/api` is."""
        await self.execute(statements("server_api")["put_server_api"], self.row, is_open, errors_by_status)

    @property
    def row(self) -> Any:
        """The organization's id in the database."""
        return to_uuid(self.rest.organization.organization_id)

    async def execute(self, statement: str, *arguments: Any) -> None:
        """Run a statement."""
        connection = await asyncpg.connect(self.database_url)
        try:
            await connection.execute(statement, *arguments)
        finally:
            await connection.close()


class Heard:
    """Keeps what is passed on and not stored."""

    def __init__(self) -> None:
        self.ephemeral: list[EphemeralPublication] = []

    def on_live(self, batch: LiveBatch) -> None: ...

    def on_head(self, head: Head) -> None: ...

    def on_ephemeral(self, publication: EphemeralPublication) -> None:
        self.ephemeral.append(publication)


@asynccontextmanager
async def server_api_of(
    database_url: str, namespaces: dict[str, dict[str, Any]] | None = None, *, key: str = KEY, **options: Any
) -> AsyncIterator[ServerApi]:
    """Give the replica with its key; without namespaces Tidings' own rules hold."""
    async with rest_of(database_url, **options) as rest:
        api = ServerApi(rest, database_url)
        mark = Sealer(bytes(32), SystemEntropy()).mark(key.encode())
        key_id = to_uuid(SystemEntropy().id())
        await api.execute(statements("server_api")["insert_key"], api.row, mark, key_id)
        if namespaces is not None:
            await api.namespaces(**namespaces)
        yield api
