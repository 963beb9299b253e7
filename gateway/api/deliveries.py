"""Why a client did, or did not, get a publication: the answer for one connection, or for those of a user."""

from collections.abc import Sequence
from typing import Any, Final

import orjson

from adapters.postgres.channels import ChannelReader
from adapters.redis.journeys import JourneyReader
from core.auth.access import refusal_to_read_log
from core.connections.journey import Journey
from core.connections.verdict import Delivery, Publication, Verdict, judge_all
from core.errors import Code, TidingsError, bad_parameter
from core.ids import encode
from core.instants import Instant, format_instant
from core.ports import LiveFeed
from core.resources.schema import Catalog
from gateway.api.call import Answer, Call, Endpoint, Route
from gateway.api.channels import raise_refusal
from gateway.api.connections import (
    FORGOTTEN,
    LIMIT_DEFAULT,
    LIMIT_MAX,
    USER,
    shown_connection,
    shown_stay,
)
from gateway.api.pages import CURSOR, LIMIT, Cursors, limit_of
from gateway.auth import Authenticator
from settings import Settings

CLIENT: Final = "client"
RETURNS_MAX: Final = 25
"""Other connections of the same user that are looked at, to see whether he came back."""
DIGITS_MAX: Final = 16

_NOBODY: Final = (
    "Nothing is remembered of this user, which does not say that he was not there: his connections ended too "
    "long ago, there were none, or the cache lost them, as it does when it is started anew."
)


class Deliveries:
    """Serves `/v1/channels/{channel}/publications/{offset}/deliveries`.

    Args:
        journeys: what is remembered of connections.
        channels: reads the publication.
        feed: knows the announced head; nothing above it is shown (reliability rule R5).
        authenticator: knows the organization's options.
        catalog: resource types, whose names are known namespaces.
        cursors: of lists.
        settings: how long a dead connection may go unnoticed.
    """

    def __init__(
        self,
        journeys: JourneyReader,
        channels: ChannelReader,
        feed: LiveFeed,
        authenticator: Authenticator,
        catalog: Catalog,
        cursors: Cursors,
        settings: Settings,
    ) -> None:
        self._journeys = journeys
        self._channels = channels
        self._feed = feed
        self._authenticator = authenticator
        self._types = catalog.names
        self._cursors = cursors
        self._doubt_s = settings.realtime.ping_s + settings.realtime.pong_s

    def routes(self) -> list[Route]:
        """Return what is served here."""
        known = frozenset({CLIENT, USER, LIMIT, CURSOR})
        path = "/v1/channels/{channel:str}/publications/{offset:str}/deliveries"
        return [Route(path, {"GET": Endpoint(self._trace, "channels:read", known)})]

    async def _trace(self, call: Call) -> Answer:
        limit = limit_of(call.query, LIMIT_DEFAULT, LIMIT_MAX)
        if (CLIENT in call.query) == (USER in call.query):
            raise bad_parameter(CLIENT, "required", "Name either a client or a user.")
        place = (self._cursors.read(call) or b"").decode()
        publication = await self._publication(call)
        if CLIENT in call.query:
            shown, next_place = [await self._of_client(call, publication, call.query[CLIENT])], ""
        else:
            page = await self._journeys.of_user(
                call.organization_id, call.query[USER], limit=limit, cursor=place
            )
            shown, next_place = self._judged(publication, page.journeys), page.next_cursor
        trace: dict[str, Any] = {
            "object": "delivery_trace",
            "publication": _shown_publication(publication),
            "connections": shown,
            "has_more": bool(next_place),
            "next_cursor": self._cursors.write(call, next_place.encode()) if next_place else None,
        }
        if not shown and not place:
            trace["detail"] = _NOBODY
        return Answer(200, orjson.dumps(trace))

    async def _publication(self, call: Call) -> Publication:
        """Return what is asked about, once it is clear that the caller may see it."""
        organization_id, channel, text = call.organization_id, call.params["channel"], call.params["offset"]
        organization = await self._authenticator.organization(organization_id)
        raise_refusal(refusal_to_read_log(call.principal, organization, channel, self._types), channel)
        if not (text.isascii() and text.isdigit() and len(text) <= DIGITS_MAX and int(text)):
            raise TidingsError(Code.NOT_FOUND)
        head, offset = await self._feed.head(organization_id), int(text)
        page = await self._channels.page(
            organization_id, channel, after_offset=offset - 1, up_to_seq=head.seq, limit=1
        )
        if not page.events:
            said = "Nothing stands at this offset. What is ephemeral has none: it reaches those who are live."
            raise TidingsError(Code.NOT_FOUND, said)
        event = page.events[0]
        if (channel, offset) not in event.entries:
            raise TidingsError(Code.HISTORY_EXPIRED, "The publication is past its retention.")
        return Publication(channel, offset, head.epoch, event)

    async def _of_client(self, call: Call, publication: Publication, client: str) -> dict[str, Any]:
        journey = await self._journeys.of_client(call.organization_id, client)
        if journey is None:
            forgotten = {"verdict": Verdict.UNKNOWN.value, "detail": FORGOTTEN}
            return {"object": "delivery", "client": client, **forgotten}
        others: list[Journey] = []
        if journey.came.user:
            newest = await self._journeys.of_user(call.organization_id, journey.came.user, limit=RETURNS_MAX)
            others = newest.journeys
        return self._judged(publication, [journey, *others])[0]

    def _judged(self, publication: Publication, journeys: Sequence[Journey]) -> list[dict[str, Any]]:
        return [_shown(delivery) for delivery in judge_all(publication, journeys, doubt_s=self._doubt_s)]


def _shown(delivery: Delivery) -> dict[str, Any]:
    shown = shown_connection(delivery.journey)
    del shown["channels"]
    shown |= {"object": "delivery", "verdict": delivery.verdict.value, "detail": delivery.detail}
    if delivery.came_back_as:
        shown["came_back_as"] = delivery.came_back_as
    if delivery.stay is not None:
        shown["subscription"] = shown_stay(delivery.stay)
    if delivery.refusal is not None:
        refused_at = format_instant(Instant(delivery.refusal.at))
        shown["refusal"] = {"refused_at": refused_at, "code": delivery.refusal.code}
    return shown


def _shown_publication(publication: Publication) -> dict[str, Any]:
    """Return the publication without what was published."""
    event = publication.event
    shown: dict[str, Any] = {
        "object": "publication",
        "id": encode("evt", event.id),
        "type": event.type,
        "channel": publication.channel,
        "offset": publication.offset,
        "seq": event.seq,
        "epoch": publication.epoch,
        "created_at": format_instant(publication.at),
    }
    if event.tags:
        shown["tags"] = event.tags
    if event.info is not None:
        shown["info"] = {"user": event.info.user, "client": event.info.client}
    return shown
