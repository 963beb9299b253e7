"""An organization that moves here: its configuration as a whole, and a log that begins anew."""

from typing import Any, Final

import msgspec

from adapters.postgres.auth import new_epoch
from adapters.postgres.backend import seal_backend
from adapters.postgres.codec import to_uuid
from adapters.postgres.pool import Database
from adapters.postgres.queries import statements
from adapters.postgres.sealing import Sealer
from adapters.postgres.tokens import seal_token_keys
from core.channels.namespace import WITHOUT_NAMESPACE
from core.connections.backend_options import BackendOptions
from core.errors import Code, TidingsError
from core.moving.plan import Plan
from core.ports import Clock, Entropy

CHANNELS: Final = 500
"""Whose entries are deleted in one statement."""
EVENTS: Final = 10_000
"""That are deleted in one statement."""
FORGOTTEN: Final = (
    "forget_entries", "forget_events", "forget_keys", "forget_floors", "forget_versions", "forget_cursors",
    "forget_heads",
)  # fmt: skip
RENEWAL_S: Final = 30.0
"""In which an owner must have read again what was taken from it."""
LOOK_S: Final = 0.1

_JSON: Final = msgspec.json.Encoder()


class Mover:
    """Changes what an organization is as a whole. For its operator, on the machine."""

    def __init__(self, database: Database, sealer: Sealer, entropy: Entropy, clock: Clock) -> None:
        self._database = database
        self._sealer = sealer
        self._entropy = entropy
        self._clock = clock
        self._sql = statements("moving")
        self._api = statements("server_api")
        self._namespaces = statements("namespaces")

    async def configure(self, organization_id: bytes, plan: Plan, backend: BackendOptions | None) -> None:
        """Set everything that a plan says, in place of all that was said before, in one transaction.

        Idempotent. Whoever has read the old rules goes by them for `IN_FORCE_AFTER_S` at most.

        Raises:
            TidingsError: `already_exists`, its API key is another organization's. Nothing has changed then.
        """
        key = to_uuid(organization_id)
        rules, api = plan.rules, plan.server_api
        namespaces = {WITHOUT_NAMESPACE: rules.without, **rules.namespaces}
        async with self._database.transaction() as connection:
            await connection.execute(self._namespaces["lock_organization"], key)
            await connection.execute(
                self._sql["replace_options"],
                key,
                plan.anonymous,
                plan.client_insecure,
                rules.unknown,
                _JSON.encode(rules.clients).decode(),
                seal_token_keys(self._sealer, plan.token_keys, organization_id),
                None if backend is None else seal_backend(self._sealer, backend, organization_id),
            )
            await connection.execute(self._sql["forget_namespaces"], key)
            await connection.executemany(
                self._namespaces["put_namespace"],
                [(key, name, _JSON.encode(options).decode()) for name, options in namespaces.items()],
            )
            await connection.execute(self._api["put_server_api"], key, api.is_open, api.errors_by_status)
            await connection.execute(self._api["forget_keys"], key)
            if api.key:
                await self._insert_key(connection, key, api.key)

    async def _insert_key(self, connection: Any, key: Any, text: str) -> None:
        mark = self._sealer.mark(text.encode())
        row = await connection.fetchrow(self._api["insert_key"], key, mark, to_uuid(self._entropy.id()))
        if row is None:
            raise TidingsError(
                Code.ALREADY_EXISTS,
                "The key of the HTTP API belongs to another organization: move with another one.",
            )

    async def reset(self, organization_id: bytes) -> None:
        """Delete an organization's channels and publications, and begin its log anew under another epoch.

        Its resources stay. Most is deleted beforehand, bit by bit; what holds up the partition is the rest of
        it. Returns when the partition's owner counts from the beginning, or there is none. A crash leaves a
        log with holes under the old epoch: reset again.

        Raises:
            TidingsError: `unavailable`; the owner has not read it again in time.
        """
        key = to_uuid(organization_id)
        await self._empty(key)
        async with self._database.transaction() as connection:
            row = await connection.fetchrow(self._sql["hold_partition"], key)
            for name in FORGOTTEN:
                await connection.execute(self._sql[name], key)
            await connection.execute(self._sql["begin_stream"], key, new_epoch(self._entropy))
        # Their memory is of what was; an append by it would fail, but a head would still be told.
        await self._database.execute(self._sql["cut_owners"])
        await self._until_read_again(row["partition_id"], row["epoch"])

    async def _empty(self, key: Any) -> None:
        last = ""
        while channels := await self._database.fetch(self._sql["channels_after"], key, last, CHANNELS):
            names = [row["channel"] for row in channels]
            await self._database.execute(self._sql["forget_entries_of"], key, names)
            last = names[-1]
        last_seq = await self._database.fetchval(self._sql["last_seq"], key)
        for seq in range(EVENTS, last_seq, EVENTS):
            await self._database.execute(self._sql["forget_events_up_to"], key, seq)

    async def _until_read_again(self, partition_id: int, epoch: int) -> None:
        deadline = self._clock.monotonic() + RENEWAL_S
        while not await self._database.fetchval(self._sql["is_read_again"], partition_id, epoch):
            if self._clock.monotonic() > deadline:
                raise TidingsError(
                    Code.UNAVAILABLE, "The owner of the partition does not answer: `tidings status` shows it."
                )
            await self._clock.sleep(LOOK_S)
