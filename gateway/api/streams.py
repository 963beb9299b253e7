"""The organization's log over REST: page by page from any position, and one event by its id."""

import re
from collections.abc import Sequence
from typing import Final

from adapters.postgres.codec import Page
from adapters.postgres.streams import LogReader
from core.errors import Code, TidingsError, bad_parameter
from core.ids import decode
from core.ports import LiveFeed
from core.streams.event import Head
from core.streams.event_object import event_object
from core.streams.position import Position, parse_position, require_readable
from gateway.api.call import Answer, Call, Endpoint, Route
from gateway.api.pages import AFTER, CURSOR, LIMIT, Cursors, limit_of, list_answer

TYPES: Final = "types"
LIMIT_DEFAULT: Final = 100
LIMIT_MAX: Final = 1_000
TYPES_MAX: Final = 50

_TYPE: Final = re.compile(r"(?=.{1,100}\Z)[a-zA-Z0-9_]+(\.[a-zA-Z0-9_]+)*(\.\*)?", re.ASCII)


class Streams:
    """Serves `/v1/events`. Nothing above the announced head is shown (reliability rule R5).

    Args:
        log: reads events.
        feed: knows the announced head.
        cursors: of lists.
        page_bytes_max: a page ends early when its events hold more.
    """

    def __init__(self, log: LogReader, feed: LiveFeed, cursors: Cursors, page_bytes_max: int) -> None:
        self._log = log
        self._feed = feed
        self._cursors = cursors
        self._page_bytes_max = page_bytes_max

    def routes(self) -> list[Route]:
        """Return what is served here."""
        known = frozenset({AFTER, TYPES, LIMIT, CURSOR})
        return [
            Route("/v1/events", {"GET": Endpoint(self._list, "events:read", known)}),
            Route("/v1/events/{event_id:str}", {"GET": Endpoint(self._get, "events:read")}),
        ]

    async def _get(self, call: Call) -> Answer:
        event_id = decode("evt", call.params["event_id"])
        event = await self._log.event(call.organization_id, event_id)
        if event is None:
            raise TidingsError(Code.NOT_FOUND)
        head = await self._feed.head(call.organization_id)
        if event.seq > head.seq:
            raise TidingsError(Code.NOT_FOUND)
        return Answer(200, event_object(event, head.epoch))

    async def _list(self, call: Call) -> Answer:
        limit = limit_of(call.query, LIMIT_DEFAULT, LIMIT_MAX)
        types = types_of(call.query.get(TYPES, ""))
        asked = position_of(call, self._cursors)
        head = await self._feed.head(call.organization_id)
        page = await self._read(call, asked, head, limit, types)
        cursor = None
        if page.has_more:
            last = Position(head.epoch, page.events[-1].seq)
            cursor = self._cursors.write(call, str(last).encode())
        entries = [event_object(event, head.epoch) for event in page.events]
        return list_answer(call, entries, next_cursor=cursor, position={"epoch": head.epoch, "seq": head.seq})

    async def _read(
        self, call: Call, asked: Position | None, head: Head, limit: int, types: Sequence[str]
    ) -> Page:
        organization_id = call.organization_id
        if asked is not None and (types or asked.epoch not in ("", head.epoch) or asked.number > head.seq):
            await self._check(organization_id, asked, head)
        after = 0 if asked is None else asked.number
        page = await self._log.page(
            organization_id,
            after_seq=after,
            up_to_seq=head.seq,
            limit=limit,
            types=types,
            bytes_max=self._page_bytes_max,
        )
        # Without types the read itself shows a hole at its beginning, and only then the range is looked up.
        first = page.events[0].seq if page.events else head.seq + 1
        if asked is not None and not types and first != after + 1:
            await self._check(organization_id, asked, head)
        return page

    async def _check(self, organization_id: bytes, asked: Position, head: Head) -> None:
        first = await self._log.first_seq(organization_id)
        require_readable(
            asked, epoch=head.epoch, first=head.seq + 1 if first is None else first, last=head.seq
        )


def types_of(text: str) -> tuple[str, ...]:
    """Return the event types of `types=a,b.*`.

    Raises:
        TidingsError: `validation_failed`.
    """
    if not text:
        return ()
    types = tuple(text.split(","))
    if len(types) > TYPES_MAX:
        raise bad_parameter(TYPES, "too_long", f"At most {TYPES_MAX} types.")
    if not all(map(_TYPE.fullmatch, types)):
        raise bad_parameter(TYPES, "pattern", "Types are dot-separated words; the last may be *.")
    return types


def position_of(call: Call, cursors: Cursors) -> Position | None:
    """Return where the caller wants to go on: by `after`, or by a list's cursor.

    Raises:
        TidingsError: `validation_failed`, `cursor_invalid`, `cursor_mismatch`.
    """
    place = cursors.read(call)
    if place is not None:
        return parse_position(place.decode())
    text = call.query.get(AFTER)
    if text is None:
        return None
    try:
        return parse_position(text)
    except TidingsError:
        raise bad_parameter(AFTER, "format", "A position is <epoch>:<number>.") from None
