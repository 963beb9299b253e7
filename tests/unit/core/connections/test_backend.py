"""What a backend is asked, byte for byte, and what of its answers is believed."""

from base64 import b64encode
from contextlib import suppress
from dataclasses import replace
from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.auth.override import Override
from core.auth.tokens import SubClaims
from core.connections.backend import (
    BackendAnswer,
    BackendEvent,
    Caller,
    ConnectAnswer,
    ConnectEvent,
    Disconnection,
    MessageAnswer,
    MessageEvent,
    PublishAnswer,
    PublishEvent,
    RefreshAnswer,
    RefreshEvent,
    RpcAnswer,
    RpcEvent,
    SubscribeAnswer,
    SubscribeEvent,
    answer_of,
    body_of,
)
from core.connections.backend_options import BackendOptions, Endpoints
from core.connections.frames import ErrorReply
from core.errors import Code, TidingsError
from core.instants import from_seconds

CALLER = Caller("9336a229", "websocket", user="56", meta=b'{"plan":"a"}')
HEAD = b'{"client":"9336a229","transport":"websocket","protocol":"json","encoding":"json"'
USER = HEAD + b',"user":"56"'
CONNECT = ConnectEvent(CALLER)
REFRESH = RefreshEvent(CALLER)
SUBSCRIBE = SubscribeEvent(CALLER, "chat:index")
PUBLISH = PublishEvent(CALLER, "chat:index", b'{"input":"hello"}')
RPC = RpcEvent(CALLER, "getPrice", b'{"id":12}')
MESSAGE = MessageEvent(CALLER, b"1")
EVENTS: list[BackendEvent] = [CONNECT, REFRESH, SUBSCRIBE, PUBLISH, RPC, MESSAGE]
REFUSABLE = [event for event in EVENTS if event is not REFRESH]
PLAIN = BackendOptions()
BINARY = Caller("9336a229", "websocket", "protobuf")


def answer(event: BackendEvent, **members: Any) -> BackendAnswer:
    return answer_of(event, orjson.dumps(members))


@pytest.mark.parametrize(
    ("event", "body"),
    [
        (CONNECT, HEAD + b"}"),
        (
            ConnectEvent(CALLER, b"[ 1.0 ]", "js", "1.2", ("a", "b")),
            HEAD + b',"name":"js","version":"1.2","channels":["a","b"],"data":[ 1.0 ]}',
        ),
        (REFRESH, USER + b"}"),
        (SUBSCRIBE, USER + b',"channel":"chat:index"}'),
        (SubscribeEvent(CALLER, "c", b"null"), USER + b',"channel":"c","data":null}'),
        (PUBLISH, USER + b',"channel":"chat:index","data":{"input":"hello"}}'),
        (RPC, USER + b',"method":"getPrice","data":{"id":12}}'),
        (RpcEvent(CALLER, ""), USER + b"}"),
        (MESSAGE, USER + b',"data":1}'),
    ],
)
def test_events_have_the_bodies_that_backends_know(event: BackendEvent, body: bytes) -> None:
    assert body_of(event, PLAIN) == body


def test_a_backend_that_asks_for_it_gets_the_connections_meta() -> None:
    options = BackendOptions(include_meta=True)
    for event in REFUSABLE[1:]:
        assert orjson.loads(body_of(event, options))["meta"] == {"plan": "a"}
    assert "meta" not in orjson.loads(body_of(CONNECT, options))
    assert "meta" not in orjson.loads(body_of(RefreshEvent(Caller("c", "sse")), options))


def test_in_binary_encoding_payloads_are_base64() -> None:
    body = orjson.loads(body_of(RPC, BackendOptions(binary_encoding=True)))
    assert (body["encoding"], body["b64data"]) == ("binary", b64encode(RPC.data).decode())
    assert "data" not in body


def test_what_is_not_json_is_base64_in_any_encoding() -> None:
    body = orjson.loads(body_of(PublishEvent(CALLER, "c", b"\xff"), PLAIN))
    assert (body["encoding"], body["b64data"]) == ("json", "/w==")


def test_each_event_has_its_endpoint() -> None:
    options = BackendOptions(endpoints=Endpoints(rpc="https://b.example.com/rpc"))
    assert [options.url_of(event.endpoint) for event in EVENTS] == ["", "", "", "", options.endpoints.rpc, ""]


def test_a_connection_is_let_in_on_terms() -> None:
    sub = {"info": {"a": 1}, "data": 2, "override": {"presence": {"value": True}}, "expire_at": 7}
    found = answer(
        replace(CONNECT, caller=BINARY),
        result={
            "user": "56",
            "expire_at": 1565436268,
            "info": {"name": "x"},
            "b64data": b64encode(b"\xff").decode(),
            "channels": ["news"],
            "subs": {"room": sub, "other": {}},
            "meta": {"k": "v"},
            "caps": [{"channels": ["*"], "allow": ["pub"]}],
        },
    )
    subs = {
        "room": SubClaims(b'{"a":1}', b"2", Override(presence=True), from_seconds(7)),
        "other": SubClaims(),
    }
    assert found == ConnectAnswer(
        "56", from_seconds(1565436268), b'{"name":"x"}', b"\xff", ("news",), subs, b'{"k":"v"}'
    )


def test_the_empty_user_is_somebody_and_no_result_is_nobody() -> None:
    assert answer(CONNECT, result={"user": ""}) == ConnectAnswer("")
    assert answer(CONNECT, result={"expire_at": 0, "info": None, "data": None}) == ConnectAnswer("")
    assert answer(CONNECT) == Disconnection(3501, "bad request")


@pytest.mark.parametrize(
    ("members", "expected"),
    [
        ({"result": {"expire_at": 9, "info": 1}}, RefreshAnswer(from_seconds(9), b"1")),
        ({"result": {"expire_at": 9, "expired": True}}, RefreshAnswer(None)),
        ({"result": {}}, RefreshAnswer(None)),
        ({}, RefreshAnswer(None)),
        ({"error": {"code": 1000}}, RefreshAnswer(None)),
        ({"disconnect": {"code": 4500}}, RefreshAnswer(None)),
    ],
)
def test_a_connection_is_prolonged_or_over(members: dict[str, Any], expected: RefreshAnswer) -> None:
    assert answer(REFRESH, **members) == expected


def test_a_subscription_is_allowed_on_terms() -> None:
    result = {"info": 1, "b64data": "Mg==", "override": {"join_leave": {"value": False}}, "expire_at": 5}
    expected = SubscribeAnswer(b"1", b"2", Override(join_leave=False), from_seconds(5))
    assert answer(SUBSCRIBE, result=result) == expected
    assert answer(SUBSCRIBE, result={}) == answer(SUBSCRIBE) == SubscribeAnswer()


def test_a_publication_is_allowed_and_may_be_changed() -> None:
    result = {"data": [1], "skip_history": True, "tags": {"a": "b"}, "idempotency_key": "k", "delta": True}
    expected = PublishAnswer(b"[1]", skip_history=True, tags={"a": "b"}, idempotency_key="k")
    assert answer(PUBLISH, result=result) == expected
    assert answer(PUBLISH, result={}) == answer(PUBLISH) == PublishAnswer()


def test_calls_are_answered_with_what_the_backend_sent_byte_for_byte() -> None:
    assert answer_of(RPC, b'{"result":{"data": {"n": 1.50} }}') == RpcAnswer(b'{"n": 1.50}')
    assert answer(replace(RPC, caller=BINARY), result={"b64data": "AA=="}) == RpcAnswer(b"\0")
    assert answer(RPC, result={}) == answer(RPC) == RpcAnswer()


@pytest.mark.parametrize(
    ("event", "result"),
    [
        (RPC, {"b64data": "AA=="}),
        (SUBSCRIBE, {"b64data": "AA=="}),
        (CONNECT, {"b64data": "AA=="}),
        (CONNECT, {"subs": {"a": {"b64data": "AA=="}}}),
    ],
)
def test_what_is_not_json_ends_who_can_read_nothing_else(event: BackendEvent, result: dict[str, Any]) -> None:
    assert answer(event, result=result) == Disconnection(3506, "inappropriate protocol")
    other = answer(replace(event, caller=BINARY), result=result)
    assert not isinstance(other, Disconnection)


@pytest.mark.parametrize(
    ("event", "result"),
    [
        (CONNECT, {"b64info": "AA=="}),
        (CONNECT, {"subs": {"a": {"b64info": "AA=="}}}),
        (SUBSCRIBE, {"b64info": "AA=="}),
        (REFRESH, {"b64info": "AA=="}),
    ],
)
def test_what_others_see_of_a_client_is_json_or_the_answer_is_none(
    event: BackendEvent, result: dict[str, Any]
) -> None:
    with pytest.raises(TidingsError) as raised:
        answer(replace(event, caller=BINARY), result=result)
    assert raised.value.code is Code.UNAVAILABLE


def test_messages_are_taken() -> None:
    assert answer(MESSAGE, result={}) == answer(MESSAGE) == MessageAnswer()


@pytest.mark.parametrize("event", REFUSABLE)
def test_a_backend_may_refuse_with_an_error_of_its_own(event: BackendEvent) -> None:
    refused = answer(event, error={"code": 1000, "message": "custom", "temporary": True}, result={"user": ""})
    assert refused == ErrorReply(1000, "custom", temporary=True)
    assert answer(event, error={"code": 403, "message": "x" * 9_999}) == ErrorReply(403, "x" * 1_000)


@pytest.mark.parametrize("event", REFUSABLE)
def test_a_backend_may_end_the_connection(event: BackendEvent) -> None:
    ended = answer(event, disconnect={"code": 4500, "reason": "go away"}, error={"code": 1})
    assert ended == Disconnection(4500, "go away")


@pytest.mark.parametrize(
    ("reason", "shown"),
    [
        ("", "disconnected"),
        ('{"reconnect":true}', "disconnected"),
        ("12", "disconnected"),
        ("ž" * 99, "ž" * 61),
    ],
)
def test_a_reason_is_never_empty_nor_json_nor_too_long(reason: str, shown: str) -> None:
    assert answer(RPC, disconnect={"code": 4500, "reason": reason}) == Disconnection(4500, shown)


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"[]",
        b"<html>",
        b'{"result":{"data":"\xff"}}',
        b'{"result":{"data":[1,}}',
        b'{"result":[]}',
        b'{"result":{"b64data":"\xc3\xa4"}}',
        b'{"result":{"b64data":"A"}}',
        b'{"result":{"expire_at":-1}}',
        b'{"result":{"expire_at":99999999999999999999}}',
        b'{"error":{"code":0}}',
        b'{"error":{}}',
        b'{"disconnect":{"code":1000}}',
        b'{"disconnect":{"code":5000}}',
        b'{"result":{"data":' + b"[" * 100_000 + b"]" * 100_000 + b"}}",
    ],
)
def test_what_is_no_answer_is_an_unavailable_backend(body: bytes) -> None:
    with pytest.raises(TidingsError) as refused:
        answer_of(SUBSCRIBE, body)
    assert refused.value.code is Code.UNAVAILABLE


@given(
    st.sampled_from(EVENTS),
    st.binary(max_size=60) | st.from_regex(rb'\{"result":\{"(data|info)":.{0,20}\}\}'),
)
def test_any_bytes_are_an_answer_or_none(event: BackendEvent, body: bytes) -> None:
    with suppress(TidingsError):
        answer_of(event, body)
