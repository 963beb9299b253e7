"""Connections over REST: those of a user that are there or were within the hour, and what became of one."""

from typing import Any, Final

import msgspec
import orjson

from adapters.redis.journeys import JourneyReader
from core.connections.journey import (
    Came,
    Ended,
    Journey,
    Left,
    Paged,
    Refused,
    Stay,
    Step,
    Subscribed,
    WentLive,
)
from core.errors import Code, TidingsError, bad_parameter
from core.instants import Instant, format_instant
from gateway.api.call import Answer, Call, Endpoint, Route
from gateway.api.pages import CURSOR, LIMIT, Cursors, limit_of, list_answer

USER: Final = "user"
LIMIT_DEFAULT: Final = 25
LIMIT_MAX: Final = 100

FORGOTTEN: Final = (
    "Nothing is remembered of this connection: it ended too long ago, was never there, or the cache lost it, "
    "as it does when it is started anew."
)

_STEPS: Final[dict[type[Step], str]] = {
    Came: "connected",
    Subscribed: "subscribed",
    Paged: "page_sent",
    WentLive: "live",
    Refused: "refused",
    Left: "unsubscribed",
    Ended: "disconnected",
}
_HIDDEN: Final = ("at", "client", "user", "transport", "node", "tag")
"""Of steps: what stands elsewhere, or is nobody's concern."""
_SENT: Final = "sent_up_to"
_NAMES: Final = {"start": "began_behind", "sent": _SENT, "offset": _SENT, "offsets": _SENT}
"""Of what steps say, as `shown_stay` has it."""


class Connections:
    """Serves `/v1/connections`.

    Shows what replicas have told until about a second ago. What Redis lost is not shown.

    Args:
        reader: reads what is remembered.
        cursors: of lists.
    """

    def __init__(self, reader: JourneyReader, cursors: Cursors) -> None:
        self._reader = reader
        self._cursors = cursors

    def routes(self) -> list[Route]:
        """Return what is served here."""
        read, known = "channels:read", frozenset({USER, LIMIT, CURSOR})
        return [
            Route("/v1/connections", {"GET": Endpoint(self._list, read, known)}),
            Route("/v1/connections/{client:str}", {"GET": Endpoint(self._get, read)}),
        ]

    async def _list(self, call: Call) -> Answer:
        user = call.query.get(USER)
        if user is None:
            raise bad_parameter(USER, "required", "Name the user whose connections are wanted.")
        limit = limit_of(call.query, LIMIT_DEFAULT, LIMIT_MAX)
        place = (self._cursors.read(call) or b"").decode()
        page = await self._reader.of_user(call.organization_id, user, limit=limit, cursor=place)
        cursor = self._cursors.write(call, page.next_cursor.encode()) if page.next_cursor else None
        entries = [orjson.dumps(shown_connection(journey)) for journey in page.journeys]
        return list_answer(call, entries, next_cursor=cursor)

    async def _get(self, call: Call) -> Answer:
        journey = await self._reader.of_client(call.organization_id, call.params["client"])
        if journey is None:
            raise TidingsError(Code.NOT_FOUND, FORGOTTEN)
        shown = shown_connection(journey)
        shown["is_complete"] = not (journey.is_cut or journey.came.is_retold)
        shown["steps"] = [_shown_step(step) for step in (journey.came, *journey.steps)]
        return Answer(200, orjson.dumps(shown))


def shown_connection(journey: Journey) -> dict[str, Any]:
    """Return a connection as lists show it."""
    came, ended = journey.came, journey.ended
    shown: dict[str, Any] = {
        "object": "connection",
        "client": came.client,
        "user": came.user,
        "transport": came.transport,
        "node": came.node,
        "status": journey.status,
        "connected_at": None if came.is_retold else _time(came.at),
        "known_since": _time(came.at),
        "told_until": _time(journey.told_until),
        "channels": journey.channels,
    }
    if ended is not None:
        shown |= {"disconnected_at": _time(ended.at), "code": ended.code, "reason": ended.reason}
    return shown


def shown_stay(stay: Stay) -> dict[str, Any]:
    """Return one subscription: what it was to get, and what it was sent."""
    began, end = stay.began, stay.end
    shown: dict[str, Any] = {
        "subscribed_at": _time(began.at),
        "began_behind": began.start,
        "was_recovering": began.was_recovering,
        "recovered": began.recovered,
        _SENT: stay.sent,
    }
    if stay.live_at is not None:
        shown |= {"live_at": _time(stay.live_at), "live_behind": stay.live_offset}
    if end is not None:
        shown |= {"ended_at": _time(end.at), "code": end.code, "with_connection": end.of_connection}
    return shown


def _shown_step(step: Step) -> dict[str, Any]:
    told = {
        _NAMES.get(name, name): value
        for name, value in msgspec.structs.asdict(step).items()
        if name not in _HIDDEN and value is not None
    }
    return {"step": _STEPS[type(step)], "at": _time(step.at), **told}


def _time(at: int) -> str:
    return format_instant(Instant(at))
