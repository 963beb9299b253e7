"""`history`, `history_remove`, `presence`, `presence_stats` and `channels`."""

from collections.abc import Callable
from typing import Final

from adapters.postgres.channels import ChannelFloors, ChannelReader
from adapters.redis.presence import PresenceReader
from core.auth.access import Namespaces, refusal_to_read_history, refusal_to_see_presence
from core.auth.principal import Organization, Principal
from core.channels.namespace import Options
from core.channels.visible import Visible
from core.errors import Code, TidingsError
from core.ports import LiveFeed
from core.streams.event import Head
from gateway.api.centrifugo.answers import (
    EMPTY,
    Channels,
    Counts,
    Info,
    Occupied,
    Page,
    Presence,
    Publication,
    encode,
    info_of,
    publication_of,
)
from gateway.api.centrifugo.caller import Caller
from gateway.api.centrifugo.requests import Channels as ChannelsRequest
from gateway.api.centrifugo.requests import History, InChannel

PAGE: Final = 1_000
"""Publications that are read at a time, and the most of one answer where the whole log is shown."""
HISTORY_BYTES_MAX: Final = 67_108_864
"""Payloads of one answer; a longer history is cut there, and its reader goes on by `since`."""
MEMBERS_BYTES_MAX: Final = 67_108_864
"""One list of presence, or of channels, which their readers want whole."""
NAMES_MAX: Final = 1_000_000
"""Clients or channels in one answer."""

Refusal = Callable[[Principal, Organization, str, Namespaces], Code | None]


class Reading:
    """Reads what channels show.

    Args:
        reader: reads channels.
        floors: takes out of sight what they hold.
        feed: knows the announced head; nothing above it is shown.
        presence: who is where.
        known: the names of the resource types.
        page_bytes_max: payloads that are read at a time.
    """

    def __init__(
        self,
        reader: ChannelReader,
        floors: ChannelFloors,
        feed: LiveFeed,
        presence: PresenceReader,
        known: Namespaces,
        page_bytes_max: int,
    ) -> None:
        self._reader = reader
        self._floors = floors
        self._feed = feed
        self._presence = presence
        self._known = known
        self._page_bytes_max = page_bytes_max

    async def history(self, caller: Caller, request: History) -> bytes:
        """Read what is shown of a channel, from its beginning or from a position."""
        channel = request.channel or ""
        options = self._options(caller, channel, refusal_to_read_history)
        since = request.since
        offset = None if since is None else since.offset or 0
        if request.reverse and offset == 0:
            raise TidingsError(Code.VALIDATION_FAILED, "Nothing stands before the offset 0.")
        head = await self._feed.head(caller.organization_id)
        if since is not None and since.epoch and since.epoch != head.epoch:
            raise TidingsError(Code.UNRECOVERABLE_POSITION)
        seen = await self._reader.visible(caller.organization_id, channel, options, up_to_seq=head.seq)
        first, last = _span(seen, offset, reverse=bool(request.reverse))
        count = min(_limit(request.limit or 0, options), last - first + 1)
        found = await self._read(caller, channel, head, first, last, count, reverse=bool(request.reverse))
        return encode(Page(found, head.epoch, seen.last_offset))

    async def history_remove(self, caller: Caller, request: InChannel) -> bytes:
        """Take what a channel holds out of sight; the log keeps it."""
        channel = request.channel or ""
        if not caller.principal.allows("channels:write"):
            raise TidingsError(Code.PERMISSION_DENIED)
        self._options(caller, channel, refusal_to_read_history)
        head = await self._feed.head(caller.organization_id)
        stands = await self._reader.head(caller.organization_id, channel, up_to_seq=head.seq)
        if stands.last_offset:
            await self._floors.remove(caller.organization_id, channel, up_to_offset=stands.last_offset)
        return EMPTY

    async def presence(self, caller: Caller, request: InChannel) -> bytes:
        """Return who is in a channel."""
        channel = request.channel or ""
        self._options(caller, channel, refusal_to_see_presence)
        found: dict[str, Info] = {}
        cursor, left = "", MEMBERS_BYTES_MAX
        while True:
            page = await self._presence.members(
                caller.organization_id, channel, limit=PAGE, bytes_max=self._page_bytes_max, cursor=cursor
            )
            found |= {client: info_of(info) for client, info in page.clients.items()}
            left -= self._page_bytes_max
            cursor = page.next_cursor
            if not cursor or left <= 0 or len(found) >= NAMES_MAX:
                return encode(Presence(found))

    async def presence_stats(self, caller: Caller, request: InChannel) -> bytes:
        """Return how many are in a channel."""
        channel = request.channel or ""
        self._options(caller, channel, refusal_to_see_presence)
        count = await self._presence.count(caller.organization_id, channel)
        return encode(Counts(count.clients, count.users))

    async def channels(self, caller: Caller, request: ChannelsRequest) -> bytes:
        """Return the channels that have subscribers."""
        if not caller.principal.allows("channels:read"):
            raise TidingsError(Code.PERMISSION_DENIED)
        found: dict[str, Occupied] = {}
        cursor = ""
        while True:
            page = await self._presence.channels(
                caller.organization_id, request.pattern or "", limit=PAGE, cursor=cursor
            )
            found |= {channel: Occupied(clients) for channel, clients in page.channels.items()}
            cursor = page.next_cursor
            if not cursor or len(found) >= NAMES_MAX:
                return encode(Channels(found))

    def _options(self, caller: Caller, channel: str, refusal_of: Refusal) -> Options:
        refusal = refusal_of(caller.principal, caller.organization, channel, self._known)
        if refusal is not None:
            raise TidingsError(refusal)
        options = caller.organization.channels.options_of(channel, self._known)
        assert options is not None  # noqa: S101 (unknown ones were refused)
        return options

    async def _read(
        self, caller: Caller, channel: str, head: Head, first: int, last: int, count: int, *, reverse: bool
    ) -> list[Publication]:
        found: list[Publication] = []
        left = HISTORY_BYTES_MAX
        while len(found) < count and left > 0:
            page = await self._reader.page(
                caller.organization_id,
                channel,
                after_offset=first - 1,
                before_offset=last + 1,
                up_to_seq=head.seq,
                limit=min(count - len(found), PAGE),
                bytes_max=min(self._page_bytes_max, left),
                reverse=reverse,
            )
            for event in page.events:
                offset = next(at for name, at in event.entries if name == channel)
                found.append(publication_of(event, offset))
                left -= len(event.data)
                first, last = (first, offset - 1) if reverse else (offset + 1, last)
            if not page.has_more:
                break
        return found


def _span(seen: Visible, offset: int | None, *, reverse: bool) -> tuple[int, int]:
    """Return the offsets between which to read for a reader who stands at `offset` (None: nowhere yet)."""
    if offset is None:
        return seen.first_offset, seen.last_offset
    if reverse:
        return seen.first_offset, min(offset - 1, seen.last_offset)
    return max(offset + 1, seen.first_offset), seen.last_offset


def _limit(asked: int, options: Options) -> int:
    if options.history == "whole":
        return PAGE if asked < 0 else min(asked, PAGE)
    return options.history_size if asked < 0 else asked
