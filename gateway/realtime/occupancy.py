"""Tells organizations how many are in their channels, in a channel of the system's own.

Whichever replica notices a change looks; what it tells is the level that holds at that moment, and one at a
time tells of a channel, so the last one told is the last one that was. What nobody noticed, for whatever
reason, is found by walking through all channels, a page at a time.
"""

import asyncio
from collections import Counter, defaultdict
from collections.abc import AsyncIterator, Callable, Iterable, Sequence
from collections.abc import Set as AbstractSet
from typing import Any, Final

import structlog

from adapters.redis.client import CacheError
from adapters.redis.occupancy import Claim, OccupancyBoard
from adapters.redis.presence import PresenceReader
from adapters.telemetry.tasks import Tasks
from core.auth.principal import Organization
from core.channels.name import OCCUPANCY
from core.channels.occupancy import Agenda, Level, Watched, occupancy_data
from core.errors import Code, TidingsError
from core.ports import Clock, Entropy, StreamWriter
from core.streams.command import Command, Publish
from core.streams.outcome import Committed
from gateway.auth import Authenticator
from settings import Occupancy as OccupancySettings

TICK_S: Final = 0.1
RETRY_S: Final = 1.0
"""When something does not answer."""
BATCH_MAX: Final = 500
"""Channels that are looked at together."""
TELLING_MAX: Final = 50
"""Levels of one organization that are on their way at a time: no organization holds up the others."""
HELD_FACTOR: Final = 2
"""A level is a replica's to tell for so many deadlines of the log, of which it uses the first."""
CLOSE_S: Final = 3.0
HOLDER_BYTES: Final = 8


class Occupancy:
    """Looks and tells.

    Args:
        board: what was told last.
        presence: which channels anybody is in.
        writer: the way to the log.
        authenticator: knows which channels are to be told of.
        types: the names of the resource types.
        settings: limits.
        deadline_ms: of one write to the log.
        organizations: yields those that are connected here.
        clock: for pauses and times.
        entropy: of ids.
    """

    def __init__(
        self,
        board: OccupancyBoard,
        presence: PresenceReader,
        writer: StreamWriter,
        authenticator: Authenticator,
        types: AbstractSet[str],
        settings: OccupancySettings,
        deadline_ms: int,
        organizations: Callable[[], Iterable[bytes]],
        clock: Clock,
        entropy: Entropy,
    ) -> None:
        self._board = board
        self._presence = presence
        self._writer = writer
        self._authenticator = authenticator
        self._types = types
        self._settings = settings
        self._interval_ms = round(settings.interval_s * 1000)
        self._deadline_ms = deadline_ms
        self._organizations = organizations
        self._clock = clock
        self._entropy = entropy
        self._agenda = Agenda(settings.pending_channels_max)
        self._telling: Counter[bytes] = Counter()
        self._holder = entropy.token(HOLDER_BYTES).hex()
        self._claims = 0
        self._walking: asyncio.Task[None] | None = None
        self._tasks = Tasks("occupancy")
        self._journal = structlog.get_logger()
        self.missed = 0
        """Changes for which there was no room; walking finds them."""

    def changed(self, organization_id: bytes, channel: str) -> None:
        """Note that there may be another number of clients in a channel than before."""
        self._note((organization_id, channel), 0.0)

    def open(self) -> None:
        """Begin."""
        self._tasks.spawn("look", self._keep_looking())
        self._walking = self._tasks.spawn("walk", self._keep_walking())

    async def close(self) -> None:
        """Tell what is noted, as long as that does not take too long, and end."""
        if self._walking is not None:
            self._walking.cancel()
        try:
            async with asyncio.timeout(CLOSE_S):
                while self._agenda or self._telling:
                    await self._clock.sleep(TICK_S)
        except TimeoutError:
            self._journal.warning("occupancy.left", channels=len(self._agenda))
        await self._tasks.close()
        await self._board.close()

    def status(self) -> dict[str, Any]:
        """Return how it is, for people."""
        return {"pending": len(self._agenda), "missed": self.missed}

    def _note(self, watched: Watched, after_s: float) -> None:
        if not self._agenda.note(watched, self._clock.monotonic() + after_s):
            self.missed += 1

    # --- looking

    async def _keep_looking(self) -> None:
        while True:
            await self._clock.sleep(TICK_S)
            channels = self._agenda.due(self._clock.monotonic(), BATCH_MAX)
            if channels:
                await self._look(channels)

    async def _look(self, channels: Sequence[Watched]) -> None:
        wanted = await self._wanted(channels)
        if not wanted:
            return
        self._claims += 1
        holder, asked_s = f"{self._holder}.{self._claims}", self._clock.monotonic()
        held_ms = HELD_FACTOR * self._deadline_ms
        try:
            claims = await self._board.claim(holder, wanted, interval_ms=self._interval_ms, held_ms=held_ms)
        except (CacheError, TidingsError) as error:
            self._journal.warning("occupancy.unread", reason=str(error))
            for watched in wanted:
                self._note(watched, RETRY_S)
            return
        for watched, claim in zip(wanted, claims, strict=True):
            self._follow(watched, claim, holder, asked_s)

    def _follow(self, watched: Watched, claim: Claim, holder: str, asked_s: float) -> None:
        if claim.level is not None:
            self._telling[watched[0]] += 1
            self._tasks.spawn("tell", self._tell(watched, claim.level, holder, asked_s))
        elif claim.wait_ms:
            self._note(watched, claim.wait_ms / 1000)

    async def _wanted(self, channels: Sequence[Watched]) -> list[Watched]:
        """Return those that are to be told of, and now."""
        organizations: defaultdict[bytes, list[str]] = defaultdict(list)
        for organization_id, channel in channels:
            organizations[organization_id].append(channel)
        found = await asyncio.gather(
            *(self._wanted_of(organization_id, names) for organization_id, names in organizations.items())
        )
        return [watched for some in found for watched in some]

    async def _wanted_of(self, organization_id: bytes, names: list[str]) -> list[Watched]:
        try:
            organization = await self._organization(organization_id)
        except TidingsError:
            for name in names:
                self._note((organization_id, name), RETRY_S)
            return []
        if organization is None:
            return []
        room = TELLING_MAX - self._telling[organization_id]
        wanted = [(organization_id, name) for name in names if self._is_told_of(organization, name)]
        for watched in wanted[room:]:
            self._note(watched, TICK_S)
        return wanted[:room]

    async def _organization(self, organization_id: bytes) -> Organization | None:
        """Return an organization; None: it is not served any more.

        Raises:
            TidingsError: it can't be read, now or by this release.
        """
        try:
            return await self._authenticator.organization(organization_id)
        except TidingsError as error:
            if error.row.retry != "never":
                raise
            return None
        except Exception as error:
            # Logged whole: what one organization has stored must not silence all others.
            self._journal.exception("organization.unread", organization_id=organization_id.hex())
            raise TidingsError(Code.INTERNAL) from error

    def _is_told_of(self, organization: Organization, channel: str) -> bool:
        options = organization.channels.options_of(channel, self._types)
        return options is not None and options.occupancy and options.presence

    # --- telling

    async def _tell(self, watched: Watched, level: Level, holder: str, asked_s: float) -> None:
        try:
            is_told = await self._publish(watched, level, asked_s)
            if is_told:
                await self._board.told(holder, watched, level)
            else:
                self._note(watched, RETRY_S)
                await self._board.failed(holder, watched)
        except CacheError as error:
            self._journal.warning("occupancy.unsettled", reason=str(error))
            self._note(watched, RETRY_S)
        finally:
            self._telling -= Counter([watched[0]])

    async def _publish(self, watched: Watched, level: Level, asked_s: float) -> bool:
        if self._clock.monotonic() - asked_s > self._deadline_ms / 1000:
            return False  # this process stood still: by now it may be another's to tell
        organization_id, channel = watched
        publish = Publish((OCCUPANCY,), occupancy_data(channel, level, self._clock.now()))
        command = Command(organization_id, self._entropy.id(), publish, self._deadline_ms)
        return isinstance(await self._writer.submit(command), Committed)

    # --- walking

    async def _keep_walking(self) -> None:
        while True:
            try:
                async for channels in self._walk():
                    for watched in channels:
                        self._note(watched, 0.0)
                    await self._clock.sleep(self._settings.reconcile_s)
            except (CacheError, TidingsError) as error:
                self._journal.warning("occupancy.unwalked", reason=str(error))
            await self._clock.sleep(self._settings.reconcile_s)

    async def _walk(self) -> AsyncIterator[list[Watched]]:
        """Yield what may be to be told: where somebody was said to be, and where somebody is."""
        async for channels in self._board.occupied():
            for watched in channels:
                await self._forget_unless_told_of(watched)
            yield channels
        for organization_id in list(self._organizations()):
            async for channels in self._present(organization_id):
                yield channels

    async def _forget_unless_told_of(self, watched: Watched) -> None:
        try:
            organization = await self._organization(watched[0])
        except TidingsError:
            return  # that of others is walked through all the same
        if organization is None or not self._is_told_of(organization, watched[1]):
            await self._board.forget(watched)

    async def _present(self, organization_id: bytes) -> AsyncIterator[list[Watched]]:
        try:
            organization = await self._organization(organization_id)
        except TidingsError:
            return  # as above
        if organization is None:
            return
        rules = organization.channels
        if not any(options.occupancy for options in (rules.without, *rules.namespaces.values())):
            return
        cursor = ""
        while True:
            page = await self._presence.channels(
                organization_id, limit=self._settings.reconcile_channels_max, cursor=cursor
            )
            yield [(organization_id, channel) for channel in page.channels]
            cursor = page.next_cursor
            if not cursor:
                return
