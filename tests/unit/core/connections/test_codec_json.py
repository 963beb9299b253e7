"""The protocol in JSON: commands are read as they were sent, payloads leave as the bytes they were."""

import json
from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.connections.codec_json import (
    ID_MAX,
    OFFSET_MAX,
    PING,
    ProtocolError,
    close_reason,
    decode,
    embedded,
    encode_ephemeral,
    encode_publication,
    encode_push,
    encode_reply,
    encode_unsubscribe,
    push_prefix,
)
from core.connections.frames import (
    Command,
    Connect,
    Connected,
    ErrorReply,
    History,
    HistoryPage,
    Pong,
    Publish,
    Published,
    Refresh,
    Refreshed,
    Reply,
    Subscribe,
    Subscribed,
    Unserved,
    Unsubscribe,
    Unsubscribed,
)
from core.streams.event import PUBLICATION_CREATED, ClientInfo, Event
from core.streams.position import Position

TEXTS = st.text(st.characters(exclude_categories=["Cs"]), max_size=12)
CHANNELS = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=12)
IDS = st.integers(1, ID_MAX)
POSITIONS = st.builds(Position, TEXTS, st.integers(0, OFFSET_MAX))
JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | TEXTS,
    lambda of: st.lists(of, max_size=3) | st.dictionaries(TEXTS, of, max_size=3),
    max_leaves=6,
)
PAYLOADS = JSON.map(orjson.dumps)
COMMANDS: st.SearchStrategy[Command] = st.one_of(
    st.builds(Connect, IDS, TEXTS),
    st.builds(Subscribe, IDS, CHANNELS, st.none() | POSITIONS, st.booleans()),
    st.builds(Unsubscribe, IDS, CHANNELS),
    st.builds(Publish, IDS, CHANNELS, PAYLOADS, TEXTS),
    st.builds(History, IDS, CHANNELS, st.integers(-1, 2**31), st.none() | POSITIONS, st.booleans()),
    st.builds(Refresh, IDS, TEXTS),
    st.just(Pong()),
)
DEEP = b"[" * 5_000 + b"]" * 5_000
EVENTS = st.builds(
    Event,
    st.just(7),
    st.just(bytes(16)),
    st.just(PUBLICATION_CREATED),
    st.just(0),
    PAYLOADS,
    st.just((("a", 1),)),
    st.none() | st.builds(ClientInfo, TEXTS, TEXTS, st.just(b"") | PAYLOADS),
    st.none() | st.dictionaries(TEXTS, TEXTS, max_size=2),
)


def sent(command: Command) -> bytes:
    """Return a command as a client library writes it."""
    return orjson.dumps(body_of(command))


def body_of(command: Command) -> dict[str, Any]:
    match command:
        case Connect(id_, token):
            return {"id": id_, "connect": {"token": token, "name": "js", "data": {}}}
        case Subscribe(id_, channel, since, reject):
            recover = {} if since is None else {"recover": True, "epoch": since.epoch, "offset": since.number}
            about = {"channel": channel, "flag": 3 if reject else 1, "delta": "fossil"}
            return {"id": id_, "subscribe": about | recover}
        case Unsubscribe(id_, channel):
            return {"id": id_, "unsubscribe": {"channel": channel}}
        case Publish(id_, channel, data, key):
            about = {"channel": channel, "data": orjson.loads(data), "idempotency_key": key}
            return {"id": id_, "publish": about}
        case History(id_, channel, limit, since, reverse):
            start = {} if since is None else {"since": {"epoch": since.epoch, "offset": since.number}}
            return {"id": id_, "history": {"channel": channel, "limit": limit, "reverse": reverse} | start}
        case Refresh(id_, token):
            return {"id": id_, "refresh": {"token": token}}
        case Unserved(id_, method):
            return {"id": id_, method: {}}
        case Pong():
            return {}


@given(st.lists(COMMANDS, min_size=1, max_size=5), st.sampled_from([b"", b"\n"]))
def test_the_commands_of_a_frame_are_read_in_their_order(commands: list[Command], end: bytes) -> None:
    frame = b"\n".join([sent(command) for command in commands]) + end
    assert decode(frame, len(commands)) == commands
    with pytest.raises(ProtocolError):
        decode(frame, len(commands) - 1)


@pytest.mark.parametrize(
    ("frame", "command"),
    [
        ('{"id":1,"publish":{"channel":"a","data": {"b" :1.50, "\\u0061":1e400} }}',
         Publish(1, "a", b'{"b" :1.50, "\\u0061":1e400}')),
        ('{"id":1,"publish":{"channel":"a","data":null}}', Publish(1, "a", b"null")),
        ('{"id":1,"publish":{"channel":"a"}}', Publish(1, "a", b"")),
        ('{"id":1,"subscribe":{"channel":"a","offset":5,"epoch":"e"}}', Subscribe(1, "a")),
        ('{"id":1,"subscribe":{"channel":"a","recover":true}}', Subscribe(1, "a", Position("", 0))),
        ('{"id":1,"subscribe":{"channel":"a","new":{"unknown":[1]}},"other":1}', Subscribe(1, "a")),
        ('{"id":1,"history":{"channel":"a","since":{}}}', History(1, "a", 0, Position("", 0))),
        ('{"id":1,"connect":{}}', Connect(1)),
        ('{"id":4294967295,"connect":{}}', Connect(ID_MAX)),
        ('{"id":1,"connect":{},"publish":null}', Connect(1)),
        ('{"id":1,"refresh":{}}', Refresh(1, "")),
        ("{}", Pong()),
        (' {"id":0} \r', Pong()),
        ('{"publish":{"channel":"a","data":1}}', Pong()),
        ('{"send":{"data":1}}', Unserved(0, "send")),
        ('{"id":1,"send":{"data":1}}', Unserved(1, "send")),
        ('{"id":1,"rpc":{"method":"a","data":{"b":[1]}}}', Unserved(1, "rpc")),
        ('{"id":1,"ping":{}}', Unserved(1, "ping")),
        ('{"id":1,"sub_refresh":{"token":"a"}}', Unserved(1, "sub_refresh")),
        ('{"id":1,"presence":{"channel":"a"}}', Unserved(1, "presence", "a")),
        ('{"id":1,"presence_stats":{"channel":"a"}}', Unserved(1, "presence_stats", "a")),
        ('{"id":1,"publish":{"channel":"a","type":1,"key":"k"}}', Unserved(1, "map_publish", "a")),
        ('{"id":1,"subscribe":{"channel":"a","type":1}}', Unserved(1, "map", "a")),
        ('{"id":1,"subscribe":{"channel":"a","type":3}}', Unserved(1, "map", "a")),
        ('{"id":1,"subscribe":{"channel":"a","type":4}}', Unserved(1, "shared_poll", "a")),
    ],
    ids=range(25),
)  # fmt: skip
def test_a_frame_means_its_command(frame: str, command: Command) -> None:
    assert decode(frame.encode(), 1) == [command]


@pytest.mark.parametrize(
    "frame",
    [
        b"", b"\n", b"[]", b"null", b"1", b'"{}"', b"{", b"{}{}", b"{}\n\n{}", b"{}\n\n", b"\n{}", b"{id:1}",
        b'{"id":1}', b'{"id":1,"connect":null}', b'{"id":1,"connect":[]}', b'{"id":1,"unknown":{}}',
        b'{"id":"1","connect":{}}', b'{"id":1.5,"connect":{}}', b'{"id":null,"connect":{}}', b'{"id":-1}',
        b'{"id":%d,"connect":{}}' % (ID_MAX + 1), b'{"id":1%b,"rpc":{}}' % (b"0" * 400),
        b'{"id":1,"connect":{"token":1}}', b'{"id":1,"connect":{"token":null}}',
        b'{"id":1,"subscribe":{}}', b'{"id":1,"subscribe":{"channel":""}}',
        b'{"id":1,"subscribe":{"channel":1}}',
        b'{"id":1,"subscribe":{"channel":"a","delta":"other"}}', b'{"id":1,"subscribe":{"type":1}}',
        b'{"id":1,"subscribe":{"channel":"a","recover":true,"offset":-1}}',
        b'{"id":1,"subscribe":{"channel":"a","recover":true,"offset":%d}}' % (OFFSET_MAX + 1),
        b'{"id":1,"subscribe":{"channel":"a","recover":1}}', b'{"id":1,"subscribe":{"channel":"\xff"}}',
        b'{"id":1,"subscribe":{"channel":"\\ud800"}}', b'{"id":1,"unsubscribe":{}}',
        b'{"id":1,"publish":{"data":1}}', b'{"id":1,"publish":{"type":1}}',
        b'{"id":1,"publish":{"channel":"a","data":}}', b'{"id":1,"publish":{"channel":"a","data":{]}}',
        b'{"id":1,"publish":{"channel":"a","data":"\t"}}', b'{"id":1,"publish":{"channel":"a","data":"\n"}}',
        b'{"id":1,"publish":{"channel":"a","data":"\xff"}}', b'{"id":1,"publish":{"channel":"a","data":NaN}}',
        b'{"id":1,"publish":{"channel":"a","data":%b}}' % DEEP, b'{"id":1,"rpc":{"data":%b}}' % DEEP, DEEP,
        b'{"id":1,"history":{}}', b'{"id":1,"history":{"channel":"a","since":{"offset":-1}}}',
        b'{"id":1,"history":{"channel":"a","limit":"1"}}', b'{"id":1,"presence":{}}',
        b'{"id":1,"presence_stats":{}}', b'{"id":1,"refresh":1}', b"\xef\xbb\xbf{}", b"\x80\x81",
        b'{"id":1,"connect":{}}\n{"id":2}', b'{"id":1,"connect":{}}\nend',
    ],
    ids=range(56),
)  # fmt: skip
def test_what_is_no_sequence_of_commands_is_refused_as_a_whole(frame: bytes) -> None:
    with pytest.raises(ProtocolError):
        decode(frame, 10)


@given(st.binary(max_size=40) | st.text('{}[]":,\n1aid', max_size=40).map(str.encode))
def test_no_bytes_do_other_harm(frame: bytes) -> None:
    try:
        assert decode(frame, 10)
    except ProtocolError:
        return


@given(JSON)
def test_a_payload_stands_in_one_line_and_means_the_same(value: Any) -> None:
    spread = json.dumps(value, indent=1).replace("\n", "\r\n").encode()
    assert b"\n" not in embedded(spread)
    assert b"\r" not in embedded(spread)
    assert json.loads(embedded(spread)) == value


@given(PAYLOADS)
def test_a_payload_of_one_line_is_left_alone(payload: bytes) -> None:
    assert embedded(payload) is payload


def publication_of(event: Event) -> dict[str, Any]:
    expected: dict[str, Any] = {"data": json.loads(event.data)}
    if event.info is not None:
        expected["info"] = {"user": event.info.user, "client": event.info.client}
        if event.info.connection_info:
            expected["info"]["conn_info"] = json.loads(event.info.connection_info)
    return expected | ({"tags": event.tags} if event.tags else {})


@given(st.integers(1, OFFSET_MAX), EVENTS, CHANNELS)
def test_a_publication_is_shown_alike_alone_and_in_a_push(offset: int, event: Event, channel: str) -> None:
    shown = {**publication_of(event), "offset": offset}
    assert json.loads(encode_publication(offset, event)) == shown
    pushed = encode_push(push_prefix(channel), offset, event)
    assert json.loads(pushed) == {"push": {"channel": channel, "pub": shown}}
    assert b"\n" not in pushed


@given(EVENTS, CHANNELS)
def test_what_is_not_stored_has_no_offset_and_nothing_else_missing(event: Event, channel: str) -> None:
    pushed = encode_ephemeral(push_prefix(channel), event)
    assert json.loads(pushed) == {"push": {"channel": channel, "pub": publication_of(event)}}


def published(data: bytes, info: ClientInfo | None = None, tags: dict[str, str] | None = None) -> Event:
    return Event(7, bytes(16), PUBLICATION_CREATED, 0, data, (("a", 1),), info, tags)


def test_a_payload_that_looks_like_an_offset_stays_whole() -> None:
    """Every `,"offset":0}` was cut out of what is not stored, the payload's own too."""
    pushed = encode_ephemeral(push_prefix("a"), published(b'{"b":1,"offset":0}'))
    assert pushed == b'{"push":{"channel":"a","pub":{"data":{"b":1,"offset":0}}}}'


def test_the_bytes_of_a_publication() -> None:
    assert encode_publication(3, published(b'{"b" :1}')) == b'{"data":{"b" :1},"offset":3}'
    known = published(b"1", ClientInfo("ann", "c", b'{"n":\n1}'), {"k": "v"})
    assert encode_publication(3, known) == (
        b'{"data":1,"info":{"user":"ann","client":"c","conn_info":{"n":1}},"tags":{"k":"v"},"offset":3}'
    )
    changed = Event(7, bytes(16), "note.created", 0, b'{"object":{}}', (("a", 3),))
    assert json.loads(encode_publication(3, changed))["data"]["type"] == "note.created"


ONE = (1, published(b"1"))
TWO = (2, published(b"[\n2]"))


@pytest.mark.parametrize(
    ("reply", "line"),
    [
        (Connected("c", 25), '"connect":{"client":"c","version":"tidings","ping":25,"pong":true}'),
        (Connected("c", 25, 60),
         '"connect":{"client":"c","version":"tidings","expires":true,"ttl":60,"ping":25,"pong":true}'),
        (Refreshed("c", None), '"refresh":{"client":"c","version":"tidings"}'),
        (Refreshed("c", 0), '"refresh":{"client":"c","version":"tidings","expires":true,"ttl":1}'),
        (Subscribed("e", 0), '"subscribe":{"recoverable":true,"positioned":true,"epoch":"e"}'),
        (Subscribed("e", 2, was_recovering=True),
         '"subscribe":{"recoverable":true,"positioned":true,"epoch":"e","offset":2,"was_recovering":true}'),
        (Subscribed("e", 2, was_recovering=True, recovered=True, publications=[ONE, TWO]),
         ('"subscribe":{"recoverable":true,"positioned":true,"epoch":"e","offset":2,"was_recovering":true,'
          '"recovered":true,"publications":[{"data":1,"offset":1},{"data":[2],"offset":2}]}')),
        (Unsubscribed(), '"unsubscribe":{}'),
        (Published("e", 46), '"publish":{"offset":46,"epoch":"e"}'),
        (HistoryPage("e", 0, []), '"history":{"publications":[],"epoch":"e","offset":0}'),
        (HistoryPage("e", 2, [TWO]),
         '"history":{"publications":[{"data":[2],"offset":2}],"epoch":"e","offset":2}'),
        (ErrorReply(103), '"error":{"code":103,"message":"permission denied"}'),
        (ErrorReply(100), '"error":{"code":100,"message":"internal server error","temporary":true}'),
    ],
    ids=range(13),
)  # fmt: skip
def test_the_line_of_each_reply(reply: Reply, line: str) -> None:
    assert encode_reply(5, reply).decode() == '{"id":5,' + line + "}"
    assert json.loads(encode_reply(ID_MAX, reply))["id"] == ID_MAX


def test_the_server_names_its_version() -> None:
    assert json.loads(encode_reply(1, Connected("c", 25), "1.2"))["connect"]["version"] == "1.2"
    assert json.loads(encode_reply(1, Refreshed("c", 1), "1.2"))["refresh"]["version"] == "1.2"


def test_what_the_server_says_unasked() -> None:
    assert PING == b"{}"
    assert encode_unsubscribe('a"', 2500) == (
        b'{"push":{"channel":"a\\"","unsubscribe":{"code":2500,"reason":"insufficient state"}}}'
    )
    assert (close_reason(3012), close_reason(4999)) == ("no pong", "disconnected")
