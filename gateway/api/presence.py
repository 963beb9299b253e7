"""Who is in channels, over REST: page by page, as numbers, and which channels are occupied at all."""

from typing import Any, Final

import orjson

from adapters.redis.presence import PresenceReader
from core.auth.access import refusal_to_see_presence
from core.channels.name import is_system, namespace_of
from core.channels.namespace import WITHOUT_NAMESPACE
from core.channels.pattern import PATTERN_CHARACTERS_MAX
from core.errors import Code, TidingsError, bad_parameter
from core.resources.schema import Catalog
from core.streams.event import ClientInfo
from gateway.api.call import Answer, Call, Endpoint, Route
from gateway.api.channels import raise_refusal
from gateway.api.pages import CURSOR, LIMIT, Cursors, limit_of, list_answer
from gateway.auth import Authenticator
from settings import Api

PATTERN: Final = "pattern"
LIMIT_DEFAULT: Final = 100
LIMIT_MAX: Final = 1_000


class Presence:
    """Serves `/v1/channels/{channel}/presence`, its `/stats`, and `/v1/channels`.

    Shows whoever a replica has entered before the call. A list is no snapshot: between two of its pages
    others come and go.

    Args:
        reader: reads who is there.
        authenticator: knows the organization's options.
        catalog: resource types, whose names are known namespaces.
        cursors: of lists.
        settings: limits.
    """

    def __init__(
        self,
        reader: PresenceReader,
        authenticator: Authenticator,
        catalog: Catalog,
        cursors: Cursors,
        settings: Api,
    ) -> None:
        self._reader = reader
        self._authenticator = authenticator
        self._types = catalog.names
        self._cursors = cursors
        self._bytes_max = settings.page_bytes_max

    def routes(self) -> list[Route]:
        """Return what is served here."""
        read = "channels:read"
        return [
            Route(
                "/v1/channels/{channel:str}/presence",
                {"GET": Endpoint(self._members, read, frozenset({LIMIT, CURSOR}))},
            ),
            Route("/v1/channels/{channel:str}/presence/stats", {"GET": Endpoint(self._count, read)}),
            Route(
                "/v1/channels", {"GET": Endpoint(self._channels, read, frozenset({LIMIT, CURSOR, PATTERN}))}
            ),
        ]

    async def _members(self, call: Call) -> Answer:
        channel = await self._channel_of(call)
        limit = limit_of(call.query, LIMIT_DEFAULT, LIMIT_MAX)
        page = await self._reader.members(
            call.organization_id,
            channel,
            limit=limit,
            bytes_max=self._bytes_max,
            cursor=self._place(call),
        )
        entries = [_shown(info) for info in page.clients.values()]
        return list_answer(call, entries, next_cursor=self._cursor(call, page.next_cursor))

    async def _count(self, call: Call) -> Answer:
        channel = await self._channel_of(call)
        count = await self._reader.count(call.organization_id, channel)
        shown = {
            "object": "presence_stats",
            "channel": channel,
            "clients": count.clients,
            "users": count.users,
        }
        return Answer(200, orjson.dumps(shown))

    async def _channels(self, call: Call) -> Answer:
        pattern = call.query.get(PATTERN, "")
        if len(pattern) > PATTERN_CHARACTERS_MAX:
            raise bad_parameter(PATTERN, "too_long", f"At most {PATTERN_CHARACTERS_MAX} characters.")
        limit = limit_of(call.query, LIMIT_DEFAULT, LIMIT_MAX)
        page = await self._reader.channels(
            call.organization_id, pattern, limit=limit, cursor=self._place(call)
        )
        entries = [
            orjson.dumps({"object": "channel", "name": name, "clients": clients})
            for name, clients in page.channels.items()
        ]
        return list_answer(call, entries, next_cursor=self._cursor(call, page.next_cursor))

    async def _channel_of(self, call: Call) -> str:
        """Return the channel that is asked for, once it is clear that the caller may see who is in it."""
        channel = call.params["channel"]
        organization = await self._authenticator.organization(call.organization_id)
        refusal = refusal_to_see_presence(call.principal, organization, channel, self._types)
        if refusal is Code.NOT_AVAILABLE:
            raise TidingsError(refusal, _off(channel))
        raise_refusal(refusal, channel)
        return channel

    def _place(self, call: Call) -> str:
        return (self._cursors.read(call) or b"").decode()

    def _cursor(self, call: Call, place: str) -> str | None:
        return self._cursors.write(call, place.encode()) if place else None


def _off(channel: str) -> str:
    if is_system(channel):
        return "The system's own channels have no presence."
    namespace = namespace_of(channel) or WITHOUT_NAMESPACE
    return (
        f"The option presence of the namespace {namespace} is off: "
        f'PATCH /v1/channel_namespaces/{namespace} with {{"presence": true}}.'
    )


def _shown(info: ClientInfo) -> bytes:
    head: dict[str, Any] = {"object": "member", "client": info.client, "user": info.user}
    raw = ((b"info", info.connection_info), (b"chan_info", info.channel_info))
    infos = b"".join([b',"%b":%b' % (name, value) for name, value in raw if value])
    return b"%b%b}" % (orjson.dumps(head)[:-1], infos)
