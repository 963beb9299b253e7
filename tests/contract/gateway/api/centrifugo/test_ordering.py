"""`subscribe`, `unsubscribe`, `disconnect`, `refresh`: every replica hears of it, once."""

from typing import Any

from core.connections import orders
from core.connections.orders import Disconnect, Refresh, Subscribe, Unsubscribe, Who
from tests.helpers.eventually import eventually
from tests.helpers.loop import run
from tests.helpers.server_api import Heard, server_api_of

ALICE = Who("alice")
LEAVE = {"code": 4000, "reason": "bye"}


ORDERS: list[tuple[str, dict[str, Any], orders.Order]] = [
    ("unsubscribe", {"user": "alice", "channel": "a"}, Unsubscribe(ALICE, "a", 2000)),
    ("unsubscribe", {"user": "alice"}, Unsubscribe(ALICE, "", 2000)),
    ("unsubscribe", {"user": "alice", "client": "c"}, Unsubscribe(Who("alice", "c"), "", 2000)),
    ("disconnect", {"user": "alice"}, Disconnect(ALICE, 3503)),
    ("disconnect", {"user": "alice", "disconnect": None}, Disconnect(ALICE, 3503)),
    (
        "disconnect",
        {"user": "alice", "session": "s", "whitelist": ["c"], "disconnect": LEAVE},
        Disconnect(Who("alice", "", "s", frozenset({"c"})), 4000, "bye"),
    ),
    (
        "disconnect",
        {"user": "alice", "disconnect": {"code": 4500, "reason": '{"reconnect":true}'}},
        Disconnect(ALICE, 4500),
    ),
    ("refresh", {"user": "alice", "expired": True}, Refresh(ALICE, expired=True)),
    ("refresh", {"user": "alice", "expire_at": 7}, Refresh(ALICE, expire_at_s=7)),
    ("refresh", {"user": "alice", "info": {"n": 1}}, Refresh(ALICE, info=b'{"n":1}')),
    ("subscribe", {"user": "alice", "channel": "a"}, Subscribe(ALICE, "a")),
    (
        "subscribe",
        {
            "user": "alice",
            "channel": "a",
            "info": {"i": 1},
            "b64data": "eyJkIjoxfQ==",
            "expire_at": 9,
            "recover_since": {"offset": 3, "epoch": "E"},
            "override": {"presence": {"value": True}, "x": None},
        },
        Subscribe(
            ALICE,
            "a",
            b'{"i":1}',
            b'{"d":1}',
            since_offset=3,
            since_epoch="E",
            expire_at_s=9,
            override=b'{"presence":{"value":true}}',
        ),
    ),
]


def test_an_order_reaches_every_replica(database_url: str) -> None:
    async def scenario() -> None:
        async with server_api_of(database_url) as api:
            heard = Heard()
            api.rest.owner.watch(api.rest.organization.organization_id, heard)
            for method, request, _ in ORDERS:
                assert (await api.post(f"/api/{method}", request)).body == {"result": {}}
            assert await eventually(lambda: len(heard.ephemeral) == len(ORDERS), within_s=5)
            assert {(sent.kind, sent.channel) for sent in heard.ephemeral} == {(orders.ORDER, "")}
            sent = [orders.decode_order(publication.data) for publication in heard.ephemeral]
            assert sent == [order for _, _, order in ORDERS]
            assert (await api.rest.get("/v1/events")).body["data"] == []

    run(scenario())


def test_users_who_are_not_there_are_no_error(database_url: str) -> None:
    requests: list[dict[str, Any]] = [
        {}, {"user": ""}, {"user": "nobody", "channel": "no:such", "client": "x", "session": "y"},
    ]  # fmt: skip

    async def scenario() -> None:
        async with server_api_of(database_url) as api:
            for method in ("subscribe", "unsubscribe", "disconnect", "refresh"):
                for request in requests:
                    assert await api.result(method, **request) == {}

    run(scenario())


def test_what_no_replica_could_do_is_refused(database_url: str) -> None:
    refused: list[tuple[str, dict[str, Any]]] = [
        ("disconnect", {"disconnect": {"code": 70_000}}),
        ("disconnect", {"disconnect": {"code": 4000, "reason": "x" * 124}}),
        ("disconnect", {"whitelist": ["c"] * 10_001}),
        ("refresh", {"expire_at": -1}),
        ("subscribe", {"channel": "a", "b64info": "/w=="}),
    ]

    async def scenario() -> None:
        async with server_api_of(database_url) as api:
            for method, request in refused:
                assert await api.error(method, user="alice", **request) == 107, request

    run(scenario())
