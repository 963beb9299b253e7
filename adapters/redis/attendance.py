"""Writes who is where, for one replica, and takes out what lost replicas left."""

from collections.abc import Callable, Collection, Iterable, Sequence
from typing import Any, Final, NamedTuple

from adapters.redis.client import TIMEOUT_S, CacheError, Command, Line
from adapters.redis.entries import (
    ALIVE,
    LOST,
    channel_key,
    clients_key,
    held_key,
    index_key,
    organizations_key,
    pack,
    tags_key,
)
from adapters.redis.scripts import call
from core.streams.event import ClientInfo

SWEEP_ORGANIZATIONS: Final = 100
SWEEP_CHANNELS: Final = 50
SWEEP_ENTRIES: Final = 200
"""Looked at, of each channel, in one round trip."""
SWEEPING_S: Final = 10
"""For how long a lost replica is left to its sweeper, before another may take over."""


class Change(NamedTuple):
    """Somebody enters a channel, or leaves it when `info` is None."""

    organization_id: bytes
    channel: str
    client: str
    info: ClientInfo | None


class Beat(NamedTuple):
    """The cache's own time, and what it says of this replica and of a lost one ("" = none)."""

    now_ms: int
    is_alive: bool
    lost_tag: str
    evicted: int
    """Keys that it has ever thrown out for want of memory."""


class Attendance:
    """What a replica writes, under a tag that nobody else has; one call at a time.

    Every call raises `CacheError`, and may have had its effect then, or have it yet.
    """

    def __init__(self, line: Line, answer_s: float, silence_s: float) -> None:
        self._line = line
        self._answer_s = answer_s
        self._silence_ms = round(silence_s * 1000)

    async def beat(self, tag: str, *, begins: bool, sweeps: bool) -> Beat:
        """Tell that the tag lives; it counts as lost when that was too long ago.

        Args:
            tag: of the replica.
            begins: it is new; else it is only kept, and not when it is there no more.
            sweeps: a lost replica is wanted, and the caller will `sweep` it.
        """
        sweeping_ms = SWEEPING_S * 1000 if sweeps else 0
        command = call("beat", (ALIVE, LOST), tag, int(begins), self._silence_ms, sweeping_ms)
        ((now_ms, is_alive, lost, evicted),) = await self._line.run([command], self._answer_s)
        return Beat(now_ms, bool(is_alive), lost.decode(), evicted)

    async def hold(self, tag: str, organizations: Collection[bytes]) -> None:
        """Let clients enter these organizations under the tag; comes before the first `write` there.

        A tag that is lost or forgotten is refused. So whatever stands under a tag is found when it is lost: a
        cache that forgets the tag has forgotten what stood under it, and lets nobody enter under it any more.
        After an exception it must be retired with these organizations, else a permit may stay for nobody.
        """
        if not organizations:
            return
        names = [organization_id.hex() for organization_id in organizations]
        note = call("hold", (ALIVE, organizations_key(tag)), tag, *names)
        permit = [("SADD", tags_key(organization_id), tag) for organization_id in organizations]
        # The second note is the one that counts: it finds the tag known after the permits, so that whatever
        # empties the cache takes both. The first keeps a tag that is not known from leaving permits.
        for commands in ([note], [*permit, note]):
            if not (await self._line.run(commands, self._answer_s))[-1]:
                raise CacheError("the tag is not known any more")

    async def write(self, tag: str, changes: Sequence[Change], deadline_ms: int) -> None:
        """Make changes, in their order; each is atomic, and does nothing when it is repeated.

        None takes effect after `deadline_ms` of the cache's time, however long it was on its way; and nobody
        enters an organization that is not held.
        """
        commands = [_command(tag, change, deadline_ms) for change in changes]
        if not all(await self._line.run(commands, self._answer_s)):
            raise CacheError("too late, or not held any more")

    async def retire(self, tag: str, organizations: Iterable[bytes]) -> None:
        """Give a tag up: what is left under it counts as lost at once, in these organizations at least."""
        names = [organization_id.hex() for organization_id in organizations]
        commands: list[Command] = [("ZADD", LOST, "NX", 0, tag), ("ZREM", ALIVE, tag)]
        if names:
            commands.insert(0, ("SADD", organizations_key(tag), *names))
        await self._line.run(commands, self._answer_s)

    async def sweep(self, tag: str, on_swept: Callable[[bytes, str], None]) -> None:
        """Take out everything of a lost tag, step by step; costs what it left. Several may do it at once.

        `on_swept` is told each organization and channel in which nothing of it is left now.
        """
        key = organizations_key(tag)
        while organizations := await self._ask(("SRANDMEMBER", key, SWEEP_ORGANIZATIONS)):
            ids = [bytes.fromhex(organization.decode()) for organization in organizations]
            # First, so that nobody enters behind the sweep: a lost replica may only have been slow.
            await self._line.run(
                [("SREM", tags_key(organization_id), tag) for organization_id in ids], TIMEOUT_S
            )
            for organization_id, organization in zip(ids, organizations, strict=True):
                await self._sweep_organization(organization_id, tag, on_swept)
                await self._ask(("SREM", key, organization))
        await self._ask(call("swept", (LOST, key), tag))

    async def _sweep_organization(
        self, organization_id: bytes, tag: str, on_swept: Callable[[bytes, str], None]
    ) -> None:
        held = held_key(organization_id, tag)
        while channels := await self._ask(("SRANDMEMBER", held, SWEEP_CHANNELS)):
            cursors = {channel.decode(): b"0" for channel in channels}
            while cursors:
                steps = [
                    call(
                        "presence",
                        _keys(organization_id, channel, tag),
                        "sweep",
                        tag,
                        channel,
                        at,
                        SWEEP_ENTRIES,
                    )
                    for channel, at in cursors.items()
                ]
                reached = zip(cursors, await self._line.run(steps, TIMEOUT_S), strict=True)
                cursors = {}
                for channel, at in reached:
                    if at == b"0":
                        on_swept(organization_id, channel)
                    else:
                        cursors[channel] = at

    async def _ask(self, command: Command) -> Any:
        return (await self._line.run([command], TIMEOUT_S))[0]

    async def close(self) -> None:
        """Close the connection."""
        await self._line.close()


def _command(tag: str, change: Change, deadline_ms: int) -> Command:
    organization_id, channel, client, info = change
    keys = _keys(organization_id, channel, tag)
    if info is None:
        return call("presence", keys, "leave", tag, channel, deadline_ms, client)
    return call("presence", keys, "enter", tag, channel, deadline_ms, client, pack(tag, info))


def _keys(organization_id: bytes, channel: str, tag: str) -> tuple[str, ...]:
    return (
        channel_key(organization_id, channel),
        clients_key(organization_id, channel),
        index_key(organization_id),
        held_key(organization_id, tag),
        tags_key(organization_id),
    )
