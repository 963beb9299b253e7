"""How fast is REST?"""

import json
from collections.abc import Sequence

from bench.exchange import Exchanged, Requests, call, exchange
from bench.figure import Figure
from bench.place import Place

POSTS_MIN = 2_000
POST_P50_MS_MAX = 3.5
GETS_MIN = 3_000
CONNECTIONS = 64


def figures(place: Place, seconds: float) -> Sequence[Figure]:
    """Create messages from 64 connections and from one, and read one message from 64."""
    if not place.origin:
        return []
    origin, key = place.origin, place.door.token
    room = json.loads(call(Requests(origin, key, "POST", "/v1/rooms", b'{"name":"bench"}')))

    def body(number: int) -> bytes:
        return b'{"room_id":"%s","text":"%d %s"}' % (room["id"].encode(), number, b"x" * 80)

    def post(connections: int) -> Requests:
        return Requests(origin, key, "POST", "/v1/messages", body, connections)

    message = json.loads(call(post(1)))["id"]
    get = Requests(origin, key, "GET", f"/v1/messages/{message}", connections=CONNECTIONS)
    many, alone, read = (
        exchange(post(CONNECTIONS), seconds),
        exchange(post(1), seconds),
        exchange(get, seconds),
    )
    straight = not place.is_edge
    return [
        _figure("POST /v1/messages, 64 connections", many.answers_hz, "/s", POSTS_MIN * straight, many),
        _figure(
            "POST /v1/messages alone, p50",
            alone.latency_ms.p50,
            "ms",
            POST_P50_MS_MAX * straight,
            alone,
            at_most=True,
        ),
        _figure("GET /v1/messages/{id}, 64 connections", read.answers_hz, "/s", GETS_MIN * straight, read),
    ]


def _figure(
    name: str, value: float, unit: str, floor: float, seen: Exchanged, *, at_most: bool = False
) -> Figure:
    fault = f"{seen.errors} errors, e.g. {seen.first_error[:200]}" if seen.errors else ""
    return Figure(name, value, unit, floor, at_most=at_most, cpu=seen.cpu, fault=fault)
