"""Channels over REST: publish to one, to many, and read what was published."""

from typing import Any, Final

import orjson

from adapters.postgres.channels import ChannelHead, ChannelReader
from adapters.postgres.codec import Page
from core.auth.access import refusal_to_publish, refusal_to_read_log
from core.auth.principal import Organization
from core.channels.name import is_system
from core.errors import Code, TidingsError, bad_parameter
from core.ids import encode
from core.ports import LiveFeed
from core.resources.document import invalid, read_object
from core.resources.schema import Catalog
from core.streams.command import Claim, Publish
from core.streams.event import Event, Head
from core.streams.event_object import publication_entry
from core.streams.outcome import Committed, Refused
from core.streams.position import Position, require_readable
from gateway.api.batches import Batch, Item, Result, batch_answer, items_of
from gateway.api.call import JSON, Answer, Call, Endpoint, Route
from gateway.api.idempotency import QUESTION, fingerprint, key_of
from gateway.api.outcomes import committed, status_of, write_headers
from gateway.api.pages import AFTER, CURSOR, LIMIT, Cursors, limit_of, list_answer
from gateway.api.publications import (
    Publication,
    channels_named,
    read_item,
    read_publication,
)
from gateway.api.streams import LIMIT_DEFAULT, LIMIT_MAX, position_of
from gateway.api.writing import Writing
from gateway.auth import Authenticator
from gateway.problems import problem_of
from settings import Settings

ITEMS_MAX: Final = 1_000
SORT: Final = "sort"
OLDEST_FIRST: Final = "offset"
NEWEST_FIRST: Final = "-offset"
BAD_NAME: Final = (
    "A channel's name has 1 to 255 printable ASCII characters, unless its namespace says otherwise."
)

_PASSED_ON: Final = 200


class Channels:
    """Serves `/v1/channels/{channel}/publications` and `/v1/publish`.

    Args:
        writing: hands publications to the log.
        reader: reads channels.
        feed: knows the announced head; nothing above it is shown (reliability rule R5).
        authenticator: knows the organization's options.
        catalog: resource types, whose names are known namespaces.
        cursors: of lists.
        settings: limits and the public origin.
    """

    def __init__(
        self,
        writing: Writing,
        reader: ChannelReader,
        feed: LiveFeed,
        authenticator: Authenticator,
        catalog: Catalog,
        cursors: Cursors,
        settings: Settings,
    ) -> None:
        self._writing = writing
        self._reader = reader
        self._feed = feed
        self._authenticator = authenticator
        self._namespaces = catalog.names
        self._cursors = cursors
        self._settings = settings.api
        self._origin = settings.installation.origin

    def routes(self) -> list[Route]:
        """Return what is served here."""
        json = frozenset({JSON})
        known = frozenset({AFTER, LIMIT, CURSOR, SORT})
        return [
            Route(
                "/v1/channels/{channel:str}/publications",
                {
                    "GET": Endpoint(self._list, "channels:read", known),
                    "POST": Endpoint(self._publish, "channels:write", media_types=json),
                },
            ),
            Route("/v1/publish", {"POST": Endpoint(self._publish_many, "channels:write", media_types=json)}),
        ]

    # Publishing.

    async def _publish(self, call: Call) -> Answer:
        key = key_of(call.headers)
        channel = call.params["channel"]
        publication = read_publication(
            call.body, read_object(call.body), channel, self._settings.document_bytes_max
        )
        organization = await self._authenticator.organization(call.organization_id)
        invalid_now: TidingsError | None = None
        try:
            operation: Publish | Claim = self._operation(call, organization, publication, "")
        except TidingsError as error:
            if not key:
                raise
            operation, invalid_now = QUESTION, error  # the rules may have changed since it was published
        outcome = await self._writing.submit(
            call, operation, key=key, fingerprint=fingerprint(call) if key else b""
        )
        if invalid_now and isinstance(outcome, Refused) and outcome.code == Code.VALIDATION_FAILED.value:
            raise invalid_now
        effect = committed(outcome)
        shown = {"object": "publication", **_position(effect, channel, 0)}
        headers = write_headers(effect)
        if effect.event_id:
            headers.append((b"location", f"/v1/events/{encode('evt', effect.event_id)}".encode()))
        return Answer(_status_of(effect), orjson.dumps(shown), tuple(headers))

    async def _publish_many(self, call: Call) -> Answer:
        key = key_of(call.headers)
        _, pairs = items_of(call.body, ITEMS_MAX, frozenset({"items"}))
        organization = await self._authenticator.organization(call.organization_id)
        named = [channels_named(value) for _, value in pairs]
        most = self._settings.publish_entries_max
        if sum(map(len, named)) > most:
            fault = ("#/items", "too_long", f"At most {most} pairs of item and channel.")
            raise invalid("The batch is too large.", [fault])
        items = [self._item(call, organization, raw, value) for raw, value in pairs]
        results = await Batch(self._writing, call, key).run(items)
        shown = [
            entry
            for index, (channels, result) in enumerate(zip(named, results, strict=True))
            for entry in self._entries(index, channels, result)
        ]
        return batch_answer("publish_result", results, shown)

    def _item(self, call: Call, organization: Organization, raw: bytes, value: Any) -> Item:
        try:
            publication = read_item(raw, value, self._settings.document_bytes_max)
        except TidingsError as error:
            return Item(raw, error=error)
        pointer = "/channels" if "channels" in value else "/channel"
        try:
            operation = self._operation(call, organization, publication, pointer)
        except TidingsError as error:
            return Item(raw, QUESTION, error, publication.key)
        return Item(raw, operation, key=publication.key)

    def _operation(
        self, call: Call, organization: Organization, publication: Publication, pointer: str
    ) -> Publish:
        """Return a publication as what is to be done, once it is clear that it may be."""
        for channel in publication.channels:
            refusal = refusal_to_publish(call.principal, organization, channel, self._namespaces)
            if refusal is Code.VALIDATION_FAILED and pointer:
                raise invalid("No channel has this name.", [(f"#{pointer}", "pattern", BAD_NAME)])
            raise_refusal(refusal, channel)
        options = [organization.channels.options_of(name, self._namespaces) for name in publication.channels]
        ephemeral = {one is not None and one.ephemeral for one in options}
        if len(ephemeral) > 1:
            fault = (f"#{pointer}", "not_allowed", "Either all channels keep what is published, or none.")
            raise invalid("One publication can't be both stored and ephemeral.", [fault])
        return Publish(
            publication.channels, publication.data, tags=publication.tags, ephemeral=ephemeral.pop()
        )

    def _entries(self, index: int, channels: tuple[str, ...], result: Result) -> list[dict[str, Any]]:
        if isinstance(result, Committed):
            status = _status_of(result)
            return [
                {"index": index, "status": status, **_position(result, channel, place)}
                for place, channel in enumerate(channels)
            ]
        refused = {"status": result.row.status, "error": problem_of(result, origin=self._origin)}
        if not channels:
            return [{"index": index, **refused}]
        return [{"index": index, "channel": channel, **refused} for channel in channels]

    # Reading.

    async def _list(self, call: Call) -> Answer:
        channel = call.params["channel"]
        organization = await self._authenticator.organization(call.organization_id)
        raise_refusal(refusal_to_read_log(call.principal, organization, channel, self._namespaces), channel)
        limit = limit_of(call.query, LIMIT_DEFAULT, LIMIT_MAX)
        newest_first = _newest_first(call)
        asked = position_of(call, self._cursors)
        head = await self._feed.head(call.organization_id)
        span = await self._reader.head(call.organization_id, channel, up_to_seq=head.seq)
        after, before = _bounds(asked, head, span, newest_first=newest_first)
        page = await self._reader.page(
            call.organization_id,
            channel,
            after_offset=after,
            before_offset=before,
            up_to_seq=head.seq,
            limit=limit,
            bytes_max=self._settings.page_bytes_max,
            reverse=newest_first,
        )
        if asked is not None and not newest_first and _begins_late(page, channel, after, span):
            # A day has passed its retention since the span was read.
            span = await self._reader.head(call.organization_id, channel, up_to_seq=head.seq)
            require_readable(asked, epoch=head.epoch, first=span.first_offset, last=span.last_offset)
        return self._shown(call, channel, page, head, span)

    def _shown(self, call: Call, channel: str, page: Page, head: Head, span: ChannelHead) -> Answer:
        cursor = None
        if page.has_more:
            last = Position(head.epoch, _offset_in(page.events[-1], channel))
            cursor = self._cursors.write(call, str(last).encode())
        entries = [
            publication_entry(event, channel, _offset_in(event, channel), head.epoch) for event in page.events
        ]
        position = {"epoch": head.epoch, "offset": span.last_offset, "seq": head.seq}
        return list_answer(call, entries, next_cursor=cursor, position=position)


def raise_refusal(refusal: Code | None, channel: str) -> None:
    """Accept what nothing speaks against.

    Raises:
        TidingsError: the reason that there is; with the parameter `channel` when it is the name itself.
    """
    if refusal is Code.VALIDATION_FAILED:
        raise bad_parameter("channel", "pattern", BAD_NAME)
    if refusal is Code.PERMISSION_DENIED and is_system(channel):
        raise TidingsError(refusal, f"{channel} is the system's own channel: nobody else publishes there.")
    if refusal is not None:
        raise TidingsError(refusal)


def _status_of(effect: Committed) -> int:
    return status_of(effect) if effect.event_id else _PASSED_ON


def _position(effect: Committed, channel: str, place: int) -> dict[str, Any]:
    if not effect.event_id:  # ephemeral: it is no event and has no place in the channel
        return {"channel": channel, "ephemeral": True}
    return {
        "id": encode("evt", effect.event_id),
        "channel": channel,
        "offset": effect.offsets[place],
        "seq": effect.seq,
        "epoch": effect.epoch,
    }


def _newest_first(call: Call) -> bool:
    sort = call.query.get(SORT, OLDEST_FIRST)
    if sort not in (OLDEST_FIRST, NEWEST_FIRST):
        raise bad_parameter(SORT, "not_allowed", f"Must be {OLDEST_FIRST} or {NEWEST_FIRST}.")
    if sort == NEWEST_FIRST and AFTER in call.query:
        raise bad_parameter(AFTER, "not_allowed", "Newest first, go on by cursor.")
    return sort == NEWEST_FIRST


def _bounds(asked: Position | None, head: Head, span: ChannelHead, *, newest_first: bool) -> tuple[int, int]:
    """Return the offsets between which to read, both excluded.

    Oldest first, a page begins behind `asked`; newest first, it ends before it.
    """
    if newest_first:
        if asked is not None and asked.epoch != head.epoch:
            require_readable(asked, epoch=head.epoch, first=span.first_offset, last=span.last_offset)
        return 0, span.last_offset + 1 if asked is None else asked.number
    if asked is not None:
        require_readable(asked, epoch=head.epoch, first=span.first_offset, last=span.last_offset)
    return span.first_offset - 1 if asked is None else asked.number, span.last_offset + 1


def _begins_late(page: Page, channel: str, after: int, span: ChannelHead) -> bool:
    """Say whether the oldest entry of a page is not the next one after `after`."""
    first = _offset_in(page.events[0], channel) if page.events else span.last_offset + 1
    return first != after + 1


def _offset_in(event: Event, channel: str) -> int:
    return next(offset for name, offset in event.entries if name == channel)
