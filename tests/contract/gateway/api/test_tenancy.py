"""Another organization's things are answered like things that never were, by every method of every route.

Each probe is sent twice, by two strangers who are alike: once with names that are ours, once with names that
are nobody's. Both answers must be the same, show nothing of ours, and change nothing of ours. A route that is
served and has no probe fails.
"""

import asyncio
import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import orjson
import pytest

from adapters.redis.journeys import Entry, JourneyWriter
from adapters.schemas import load_catalog
from adapters.telemetry.metrics import RequestMetrics
from core.connections.journey import Came, Subscribed
from gateway.api.app import ApiParts, routes
from settings import Journeys, Settings
from tests.helpers.cache import Server, cache_of, cache_server
from tests.helpers.loop import run
from tests.helpers.owners import SCHEMAS
from tests.helpers.rest import Answer, Rest, rest_of
from tests.helpers.rosters import crowd_of

Names = dict[str, str]


@dataclass(frozen=True)
class Probe:
    """A request in which `{name}` stands for a name that may be ours, and the status of its answer."""

    status: int
    path: str
    body: Any = None
    headers: Names = field(default_factory=dict)

    def of(self, names: Names) -> tuple[str, Any, Names]:
        """Return path, body and headers with the names in place."""

        def put(text: str) -> str:
            return re.sub(r"\{(\w+)\}", lambda match: names[match[1]], text)

        body = None if self.body is None else put(orjson.dumps(self.body).decode()).encode()
        return put(self.path), body, {name: put(value) for name, value in self.headers.items()}


def nothing_there(path: str, *queries: str) -> list[Probe]:
    """Return the probes of a list that shows a stranger what is his, and says no to a foreign cursor."""
    return [Probe(200, path), *(Probe(200, f"{path}?{query}") for query in queries)]


def one(collection: str, body: dict[str, Any], name: str) -> dict[tuple[str, str], list[Probe]]:
    """Return the probes of single resources: by id and by own id, with conditions and keys."""
    by_id, by_own = f"/v1/{collection}/{{{name}}}", f"/v1/{collection}/ext:{{own}}"
    same, other, key = {"if_match": '"r1"'}, {"if_none_match": '"r1"'}, {"idempotency_key": "{key}"}
    path = f"/v1/{collection}/{{id:str}}"
    return {
        (path, "GET"): [
            *(Probe(404, p, headers=h) for p in (by_id, by_own) for h in ({}, other)),
            *(Probe(404, f"/v1/{collection}/{{{n}}}") for n in ("room", "message", "event")),
        ],
        (path, "PUT"): [
            *(Probe(404, by_id, body, h) for h in ({}, key)),
            Probe(412, by_own, body, same),
            *(Probe(201, by_own, body, h) for h in ({}, key, {"if_none_match": "*"})),
        ],
        (path, "PATCH"): [Probe(404, p, {"text": "x"}, h) for p in (by_id, by_own) for h in ({}, same, key)],
        (path, "DELETE"): [Probe(404, p, headers=h) for p in (by_id, by_own) for h in ({}, same, key)],
    }


KEY = {"idempotency_key": "{key}"}
SAME, KNOWN = {"if_match": '"r1"'}, {"if_none_match": '"r1"'}
NAMESPACE = "/v1/channel_namespaces/{name:str}"
READER = "/v1/channels/{channel:str}/cursors/{user:str}"
SIGNED = {"secret": "whsec_" + "AAAA" * 8}
ROOM, TEXT = {"name": "x"}, {"room_id": "ext:theirs", "text": "x"}
TAKEN = [
    {"room_id": "{room}", "text": "x"},
    {"room_id": "ext:{own}", "text": "x"},
    {**TEXT, "reply_to": "{message}"},
    {**TEXT, "reply_to": "ext:{own}"},
]
"""Messages that refer to what is ours."""

PROBES: Final[dict[tuple[str, str], list[Probe]]] = {
    ("/healthz", "GET"): [Probe(200, "/healthz")],
    ("/readyz", "GET"): [Probe(200, "/readyz")],
    ("/metrics", "GET"): [Probe(200, "/metrics")],
    ("/problems/{code:str}", "GET"): [Probe(200, "/problems/not_found"), Probe(404, "/problems/{room}")],
    ("/v1/events", "GET"): [
        *nothing_there("/v1/events", "types=room.*", "after=0", "limit=1000"),
        *(Probe(409, f"/v1/events?after={{epoch}}:{seq}") for seq in (0, 1, 4)),
        Probe(409, "/v1/events?after={epoch}:1&types=room.*"),
        Probe(400, "/v1/events?limit=1&cursor={events}"),
    ],
    ("/v1/events/{event_id:str}", "GET"): [Probe(404, "/v1/events/{event}"), Probe(404, "/v1/events/{room}")],
    ("/v1/channels/{channel:str}/publications", "GET"): [
        *nothing_there("/v1/channels/{channel}/publications", "after=0", "sort=-offset", "limit=1000"),
        *nothing_there("/v1/channels/room:{room}/publications"),
        Probe(409, "/v1/channels/{channel}/publications?after={epoch}:0"),
        Probe(409, "/v1/channels/{channel}/publications?after={epoch}:1"),
        Probe(400, "/v1/channels/{channel}/publications?limit=1&cursor={publications}"),
    ],
    ("/v1/channels/{channel:str}/publications", "POST"): [
        Probe(201, f"/v1/channels/{channel}/publications", {"data": 1}, headers)
        for channel in ("{channel}", "room:{room}")
        for headers in ({}, KEY)
    ],
    ("/v1/channels", "GET"): nothing_there("/v1/channels", "pattern=*{channel}", "limit=1000"),
    ("/v1/channels/{channel:str}/presence", "GET"): nothing_there(
        "/v1/channels/club:{channel}/presence", "limit=1000"
    ),
    ("/v1/channels/{channel:str}/presence/stats", "GET"): [
        Probe(200, "/v1/channels/club:{channel}/presence/stats")
    ],
    ("/v1/channels/{channel:str}/cursors", "GET"): [
        *nothing_there("/v1/channels/{channel}/cursors", "limit=1000"),
        Probe(400, "/v1/channels/{channel}/cursors?limit=1&cursor={readers}"),
    ],
    (READER, "GET"): [Probe(200, "/v1/channels/{channel}/cursors/{word}")],
    (READER, "PUT"): [
        Probe(422, "/v1/channels/{channel}/cursors/{word}", {"read_offset": 1}, KEY),
        Probe(200, "/v1/channels/{channel}/cursors/{word}", {"read_offset": 0}),
    ],
    ("/v1/users/{user:str}/cursors", "GET"): [
        *nothing_there("/v1/users/{word}/cursors", "limit=1000"),
        Probe(400, "/v1/users/{word}/cursors?limit=1&cursor={readings}"),
    ],
    ("/v1/channels/{channel:str}/publications/{offset:str}/deliveries", "GET"): [
        *(
            Probe(404, f"/v1/channels/{{channel}}/publications/1/deliveries?{whose}")
            for whose in ("client={client}", "user={word}")
        ),
        Probe(400, "/v1/channels/{channel}/publications/1/deliveries?user={word}&cursor={connections}"),
    ],
    ("/v1/connections", "GET"): [
        Probe(200, "/v1/connections?user={word}"),
        Probe(200, "/v1/connections?user="),
        Probe(400, "/v1/connections?user={word}&limit=1&cursor={connections}"),
    ],
    ("/v1/connections/{client:str}", "GET"): [Probe(404, "/v1/connections/{client}")],
    ("/v1/publish", "POST"): [
        Probe(200, "/v1/publish", {"items": [{"channel": "{channel}", "data": 1}]}),
        Probe(200, "/v1/publish", {"items": [{"channels": ["{channel}", "room:{room}"], "data": 1}]}, KEY),
        Probe(200, "/v1/publish", {"items": [{"channel": "{channel}", "data": 1, **KEY}]}),
    ],
    ("/v1/channel_namespaces", "GET"): [
        *nothing_there("/v1/channel_namespaces", "limit=100"),
        Probe(400, "/v1/channel_namespaces?limit=1&cursor={namespaces}"),
    ],
    (NAMESPACE, "GET"): [Probe(404, "/v1/channel_namespaces/{namespace}", headers=h) for h in ({}, KNOWN)],
    (NAMESPACE, "PUT"): [
        Probe(412, "/v1/channel_namespaces/{namespace}", {}, SAME),
        *(
            Probe(201, "/v1/channel_namespaces/{namespace}", {}, headers)
            for headers in ({}, KEY, {"if_none_match": "*"})
        ),
    ],
    (NAMESPACE, "PATCH"): [
        Probe(412, "/v1/channel_namespaces/{namespace}", {}, SAME),
        Probe(201, "/v1/channel_namespaces/{namespace}", {"presence": True}),
    ],
    (NAMESPACE, "DELETE"): [Probe(404, "/v1/channel_namespaces/{namespace}", headers=h) for h in ({}, SAME)],
    ("/v1/organization", "GET"): [Probe(200, "/v1/organization")],
    ("/v1/organization", "PATCH"): [
        Probe(200, "/v1/organization", {"name": "theirs"}, h) for h in ({}, SAME)
    ],
    ("/v1/organization/backend", "GET"): [Probe(200, "/v1/organization/backend")],
    ("/v1/organization/backend", "PUT"): [
        Probe(
            200, "/v1/organization/backend", {**SIGNED, "endpoints": {"rpc": "https://example.com/{word}"}}
        ),
        Probe(200, "/v1/organization/backend", {**SIGNED, "static_headers": {"X-Key": "{word}"}}, KEY),
    ],
    ("/v1/organization/token_keys", "GET"): [Probe(200, "/v1/organization/token_keys")],
    ("/v1/organization/token_keys", "PUT"): [
        Probe(200, "/v1/organization/token_keys", {"hmac_secret": "{word}"}),
        Probe(200, "/v1/organization/token_keys", {}),
    ],
    ("/v1/connection_tokens", "POST"): [
        Probe(200, "/v1/connection_tokens", {"user": "{word}"}),
        Probe(200, "/v1/connection_tokens", {"user": "{word}", "channel": "{channel}"}, KEY),
    ],
    ("/v1/connection_tokens/revoke", "POST"): [
        Probe(200, "/v1/connection_tokens/revoke", {"user": "{word}"}),
        Probe(200, "/v1/connection_tokens/revoke", {"user": "{word}", "token_id": "{word}"}, KEY),
        Probe(200, "/v1/connection_tokens/revoke", {"user": "{word}", "client": "{word}"}),
    ],
    ("/v1/rooms", "GET"): [
        *nothing_there("/v1/rooms", "q={word}", "name={word}", "limit=100"),
        Probe(400, "/v1/rooms?limit=1&cursor={rooms}"),
    ],
    ("/v1/rooms", "POST"): [
        Probe(201, "/v1/rooms", {**ROOM, "external_id": "{own}"}),
        Probe(201, "/v1/rooms", {"name": "{word}", "external_id": "{own}"}, KEY),
    ],
    ("/v1/rooms/batch", "POST"): [
        Probe(200, "/v1/rooms/batch", {"items": [{**ROOM, "external_id": "{own}"}], **atomic}, headers)
        for atomic in ({}, {"atomic": True})
        for headers in ({}, KEY)
    ]
    + [Probe(200, "/v1/rooms/batch", {"items": [{**ROOM, **KEY}]})],
    **one("rooms", ROOM, "room"),
    ("/v1/messages", "GET"): [
        *nothing_there("/v1/messages", "q={word}", "author={word}", "room_id={room}", "room_id=ext:{own}"),
        *nothing_there("/v1/messages", "expand=room_id,reply_to", "room_id={room}&expand=room_id"),
        Probe(400, "/v1/messages?limit=1&cursor={messages}"),
    ],
    ("/v1/messages", "POST"): [
        *(Probe(422, "/v1/messages", taken, headers) for taken in TAKEN for headers in ({}, KEY)),
        Probe(201, "/v1/messages", {**TEXT, "external_id": "{own}"}),
    ],
    ("/v1/messages/batch", "POST"): [
        *(Probe(200, "/v1/messages/batch", {"items": [taken, TEXT]}) for taken in TAKEN),
        *(Probe(422, "/v1/messages/batch", {"items": [TEXT, taken], "atomic": True}) for taken in TAKEN),
    ],
    **one("messages", TEXT, "message"),
}
for expanding in ("{message}", "ext:{own}"):
    PROBES["/v1/messages/{id:str}", "GET"].append(Probe(404, f"/v1/messages/{expanding}?expand=room_id"))
for taking in TAKEN[2:]:
    PROBES["/v1/messages/{id:str}", "PUT"].append(Probe(422, "/v1/messages/ext:theirs", taking))
    link = {"reply_to": taking["reply_to"]}
    PROBES["/v1/messages/{id:str}", "PATCH"].append(Probe(422, "/v1/messages/ext:theirs", link))


def served() -> set[tuple[str, str]]:
    """Return path and method of everything that is served."""
    nothing: Any = None
    parts = ApiParts(
        settings=Settings(),
        writer=nothing,
        feed=nothing,
        authenticator=nothing,
        catalog=load_catalog(Path(SCHEMAS)),
        log=nothing,
        channels=nothing,
        resources=nothing,
        rules=nothing,
        backends=nothing,
        tokens=nothing,
        presence=nothing,
        journeys=nothing,
        channel_cursors=nothing,
        server_api=nothing,
        floors=nothing,
        nodes=nothing,
        cursor_key=bytes(32),
        is_ready=nothing,
        clock=nothing,
        entropy=nothing,
    )
    return {(route.path, method) for route in routes(parts, RequestMetrics()) for method in route.endpoints}


async def things_of(api: Rest) -> Names:
    """Make our organization's things, each with a secret in it, and return their names."""
    room = (await api.post("/v1/rooms", {"name": "secret", "external_id": "mine"}, **with_key())).body
    await api.post("/v1/rooms", {"name": "secret"})
    text = {"room_id": room["id"], "text": "secret", "author": "secret", "external_id": "mine"}
    message = (await api.post("/v1/messages", text)).body
    await api.post("/v1/messages", {"room_id": room["id"], "text": "secret"})
    for _ in range(2):
        await api.post("/v1/channels/news/publications", {"data": "secret"})
    await api.post("/v1/channels/oldnews/publications", {"data": "secret"})
    for channel, user in (("news", "secret"), ("news", "secrets"), ("oldnews", "secret")):
        await api.call("PUT", f"/v1/channels/{channel}/cursors/{user}", {"read_offset": 1})
    for name in ("chatter", "gossip"):
        await api.call("PUT", f"/v1/channel_namespaces/{name}", {"channel_regex": "secret"})
    await api.call("PATCH", "/v1/organization", {"user_personal_channel": {"namespace": "secret"}})
    backend = {"endpoints": {"rpc": "https://b.example.com/secret"}, "static_headers": {"X-Secret": "secret"}}
    await api.call("PUT", "/v1/organization/backend", backend)
    await api.call("PUT", "/v1/organization/token_keys", {"hmac_secret": "secret", "issuer": "secret"})
    await api.post("/v1/connection_tokens/revoke", {"user": "secret"})
    events = (await api.get("/v1/events?limit=1")).body
    cursors = {
        name: (await api.get(f"/v1/{path}{'&' if '?' in path else '?'}limit=1")).body["next_cursor"]
        for name, path in (
            ("rooms", "rooms"),
            ("messages", "messages"),
            ("publications", "channels/news/publications"),
            ("namespaces", "channel_namespaces"),
            ("readers", "channels/news/cursors"),
            ("readings", "users/secret/cursors"),
            ("connections", "connections?user=secret"),
        )
    }
    return {
        "room": room["id"],
        "message": message["id"],
        "event": events["data"][0]["id"],
        "epoch": events["epoch"],
        "events": events["next_cursor"],
        "own": "mine",
        "channel": "news",
        "namespace": "chatter",
        "client": "secretclient",
        "word": "secret",
        "key": "order-1",
        **cursors,
    }


def with_key() -> Names:
    return {"idempotency_key": "order-1"}


def nobodys(ours: Names, cursor: str) -> Names:
    """Return names of the same form that nobody has given to anything, and a cursor of another list."""
    never = {name: ours[name][:-4] + "0000" for name in ("room", "message", "event")}
    lists = (
        *("rooms", "messages", "publications", "events", "namespaces"),
        *("readers", "readings", "connections"),
    )
    cursors = dict.fromkeys(lists, cursor)
    return {
        **never,
        **cursors,
        "epoch": "epochzero",
        "own": "nobodys",
        "channel": "olds",
        "namespace": "silence",
        "client": "nobody",
        "word": "nowhere",
        "key": "order-0",
    }


class Stranger:
    """Another organization, with one room and one message of its own."""

    def __init__(self, api: Rest, key: str) -> None:
        self._api = api
        self.key = key
        self.epoch = self.cursor = ""

    @classmethod
    async def of(cls, api: Rest) -> "Stranger":
        stranger = cls(api, (await api.another())[1])
        await stranger.call("PUT", "/v1/rooms/ext:theirs", {"name": "theirs"})
        await stranger.call("PUT", "/v1/messages/ext:theirs", {"room_id": "ext:theirs", "text": "theirs"})
        page = (await stranger.call("GET", "/v1/events?limit=1&types=room.*,message.*")).body
        stranger.epoch, stranger.cursor = page["epoch"], page["next_cursor"]
        return stranger

    async def opens_club(self) -> None:
        """Let it be seen who is in the channels of one namespace."""
        await self.call("PUT", "/v1/channel_namespaces/club", {"presence": True})
        stats = "/v1/channels/club:x/presence/stats"
        await self._api.until(200, "GET", stats, key=self.key)

    async def call(self, method: str, path: str, body: Any = None, **headers: str) -> Answer:
        return await self._api.call(method, path, body, key=self.key, **headers)


async def told_of(server: Server, organization_id: bytes, *clients: str) -> None:
    """Let there be something to remember of clients of one user."""
    async with cache_of(server) as cache:
        writer = JourneyWriter(cache.line(), Journeys())
        for client in clients:
            steps = (Came(1, client, "secret", "websocket", "n1", "n1.0"), Subscribed(2, "news", "one", 0, 0))
            await writer.write([Entry(organization_id, "secret", client, begins=True, steps=steps)])
        await writer.close()


async def all_of(api: Rest) -> list[bytes]:
    """Return everything that our organization has."""
    lists = (
        *("rooms", "messages", "events", "channels/news/publications", "channel_namespaces"),
        *("channels/news/cursors", "users/secret/cursors"),
    )
    pages = [(await api.get(f"/v1/{path}?limit=100")).raw for path in lists]
    own = ("organization", "organization/backend", "organization/token_keys")
    return [*pages, *[(await api.get(f"/v1/{path}")).raw for path in own]]


def told(answer: Answer, names: Names, stranger: Stranger) -> tuple[int, dict[str, str], str]:
    """Return an answer without what is new in each answer, and with names by what they stand for."""
    known = {**{value: f"<{name}>" for name, value in names.items()}, stranger.epoch: "<own epoch>"}

    def plain(text: str) -> str:
        for value in sorted(known, key=len, reverse=True):
            text = re.sub(rf"(?<![\w-]){re.escape(value)}(?![\w-])", known[value], text)
        text = re.sub(r"\b(evt|room|msg|req|org|tok)_[0-9A-Za-z]+", "<id>", text)
        text = re.sub(r"\b[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}\b", "<uuid>", text)
        text = re.sub(r'"(token|fingerprint)":"[^"]+"', r'"\1":"<new>"', text)
        return re.sub(r"\d{4}-\d\d-\d\dT[\d:.]+Z", "<time>", text)

    ignored = {"date", "request-id", "content-length"}
    headers = {n.lower(): plain(v) for n, v in answer.headers.items() if n.lower() not in ignored}
    return answer.status, headers, plain(answer.raw.decode())


def test_every_route_and_method_is_probed() -> None:
    assert set(PROBES) == served()
    assert all(PROBES.values())


@pytest.mark.parametrize("path", sorted({path for path, _ in PROBES}))
def test_what_is_ours_is_answered_like_what_never_was(database_url: str, path: str) -> None:
    async def scenario() -> None:
        async with (
            cache_server() as server,
            rest_of(database_url, cache_url=server.url) as api,
            crowd_of(server) as crowd,
        ):
            await crowd.enter("secret", "club:news", organization_id=api.organization.organization_id)
            await told_of(server, api.organization.organization_id, "secretclient", "otherclient")
            ours = await things_of(api)
            before = await all_of(api)
            for method in (method for known, method in PROBES if known == path):
                strangers = [await Stranger.of(api), await Stranger.of(api)]
                if "/presence" in path:
                    await asyncio.gather(*(stranger.opens_club() for stranger in strangers))
                for probe in PROBES[path, method]:
                    if method != "GET":  # what the probe before has written is in the way
                        strangers = [await Stranger.of(api), await Stranger.of(api)]
                    await probed(probe, method, ours, *strangers)
            assert await all_of(api) == before

    run(scenario())


async def probed(probe: Probe, method: str, ours: Names, asks: Stranger, wonders: Stranger) -> None:
    """Send one probe with our names and with nobody's, and compare the answers."""
    path, body, headers = probe.of(ours)
    foreign = await asks.call(method, path, body, **headers)
    assert foreign.status == probe.status, (probe, foreign.raw)
    sent = f"{path} {body!r} {headers}"
    for name, value in ours.items():
        shown = re.search(rf"(?<![\w-]){re.escape(value)}(?![\w-])", foreign.raw.decode())
        assert value in sent or shown is None, (probe, name)
    if probe.path == "/metrics":
        return  # it counts these very calls
    never = nobodys(ours, wonders.cursor)
    path, body, headers = probe.of(never)
    missing = await wonders.call(method, path, body, **headers)
    assert told(foreign, ours, asks) == told(missing, never, wonders), probe
