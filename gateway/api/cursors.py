"""How far users are in channels, over REST: what reached them, what they have read, what is left to read."""

from typing import Annotated, Any, Final

import msgspec
import orjson

from adapters.postgres.cursors import Acknowledgement, Cursor, CursorStore
from core.auth.access import refusal_to_read_log
from core.channels.name import is_text
from core.errors import Code, TidingsError, bad_parameter
from core.instants import format_instant
from core.resources.document import INTEGER_MAX, invalid, read_document, without_nulls
from core.resources.schema import Catalog
from core.resources.typed import typed
from gateway.api.call import JSON, Answer, Call, Endpoint, Route
from gateway.api.channels import raise_refusal
from gateway.api.idempotency import key_of
from gateway.api.pages import CURSOR, LIMIT, Cursors, limit_of, list_answer
from gateway.auth import Authenticator

LIMIT_DEFAULT: Final = 100
LIMIT_MAX: Final = 1_000

_Offset = Annotated[int, msgspec.Meta(ge=0, le=INTEGER_MAX)]


class _Change(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    delivered_offset: _Offset = 0
    read_offset: _Offset = 0


class ChannelCursors:
    """Serves `/v1/channels/{channel}/cursors`, what is below it, and `/v1/users/{user}/cursors`.

    Every user has a cursor in every channel: who has acknowledged nothing stands at 0. Lists show those who
    have. A cursor that is set again stands where it stood, so that a repeated key needs no stored answer.

    Args:
        store: where cursors are kept.
        authenticator: knows the organization's options.
        catalog: resource types, whose names are known namespaces.
        cursors: of lists.
    """

    def __init__(
        self, store: CursorStore, authenticator: Authenticator, catalog: Catalog, cursors: Cursors
    ) -> None:
        self._store = store
        self._authenticator = authenticator
        self._types = catalog.names
        self._cursors = cursors

    def routes(self) -> list[Route]:
        """Return what is served here."""
        read, write, page = "channels:read", "channels:write", frozenset({LIMIT, CURSOR})
        return [
            Route("/v1/channels/{channel:str}/cursors", {"GET": Endpoint(self._of_channel, read, page)}),
            Route(
                "/v1/channels/{channel:str}/cursors/{user:str}",
                {
                    "GET": Endpoint(self._get, read),
                    "PUT": Endpoint(self._put, write, media_types=frozenset({JSON})),
                },
            ),
            Route("/v1/users/{user:str}/cursors", {"GET": Endpoint(self._of_user, read, page)}),
        ]

    async def _of_channel(self, call: Call) -> Answer:
        channel = await self._channel_of(call)
        limit, after = self._page_of(call)
        found = await self._store.of_channel(call.organization_id, channel, after, limit + 1)
        next_after = found[limit - 1].user if len(found) > limit else ""
        return self._list(call, found[:limit], next_after)

    async def _of_user(self, call: Call) -> Answer:
        user = _user_of(call)
        limit, after = self._page_of(call)
        found = await self._store.of_user(call.organization_id, user, after, limit + 1)
        next_after = found[limit - 1].channel if len(found) > limit else ""
        return self._list(call, found[:limit], next_after)

    def _page_of(self, call: Call) -> tuple[int, str]:
        return limit_of(call.query, LIMIT_DEFAULT, LIMIT_MAX), (self._cursors.read(call) or b"").decode()

    def _list(self, call: Call, cursors: list[Cursor], next_after: str) -> Answer:
        next_cursor = self._cursors.write(call, next_after.encode()) if next_after else None
        return list_answer(call, list(map(_shown, cursors)), next_cursor=next_cursor)

    async def _get(self, call: Call) -> Answer:
        channel, user = await self._channel_of(call), _user_of(call)
        cursor = await self._store.find(call.organization_id, channel, user)
        if cursor is None:
            raise TidingsError(Code.NOT_FOUND)
        return Answer(200, _shown(cursor))

    async def _put(self, call: Call) -> Answer:
        key_of(call.headers)
        channel, user = await self._channel_of(call), _user_of(call)
        document = without_nulls(read_document(call.body))
        if not document:
            raise invalid("The body is not valid.", [("#/read_offset", "required", "Say up to where.")])
        wanted = typed(_Change, document)
        delivered, read = wanted.delivered_offset, wanted.read_offset
        asked = Acknowledgement(call.organization_id, channel, user, delivered, read)
        cursor = await self._store.acknowledge(asked)
        if cursor is None:
            pointer = "#/read_offset" if read >= delivered else "#/delivered_offset"
            raise invalid(
                "The body is not valid.", [(pointer, "too_large", "The channel has no such offset.")]
            )
        return Answer(200, _shown(cursor))

    async def _channel_of(self, call: Call) -> str:
        """Return the channel that is asked for, if there can be one; what may be done, the scope has said."""
        channel = call.params["channel"]
        organization = await self._authenticator.organization(call.organization_id)
        raise_refusal(refusal_to_read_log(call.principal, organization, channel, self._types), channel)
        return channel


def _user_of(call: Call) -> str:
    user = call.params["user"]
    if not is_text(user):
        raise bad_parameter("user", "pattern", "A user has 1 to 255 characters, none a control character.")
    return user


def _shown(cursor: Cursor) -> bytes:
    at = cursor.updated_at
    shown: dict[str, Any] = {
        "object": "channel_cursor",
        "channel": cursor.channel,
        "user": cursor.user,
        "delivered_offset": cursor.delivered_offset,
        "read_offset": cursor.read_offset,
        "unread": cursor.unread,
        "updated_at": None if at is None else format_instant(at),
    }
    return orjson.dumps(shown)
