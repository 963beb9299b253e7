"""The protocol in JSON: commands are read as they were sent, payloads leave as the bytes they were."""

import json
from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.channels.filter import FilterNode
from core.connections.codec import Codec, ProtocolError
from core.connections.codec_json import JSON, embedded
from core.connections.codec_requests import ID_MAX, OFFSET_MAX
from core.connections.frames import (
    Command,
    Connect,
    Connected,
    ErrorReply,
    History,
    HistoryPage,
    Joined,
    Message,
    Pong,
    Presence,
    PresenceStats,
    Publish,
    Published,
    Refresh,
    Refreshed,
    Reply,
    Rpc,
    Since,
    SubRefresh,
    Subscribe,
    Subscribed,
    SubscriptionEnded,
    Unserved,
    Unsubscribed,
)
from core.streams.event import ClientInfo, Event
from core.streams.position import Position
from tests.helpers.commands import CHANNELS, COMMANDS, JSON_VALUES, PAYLOADS, as_json
from tests.helpers.replies import EVENTS, JSON_READER, published

DEEP = b"[" * 5_000 + b"]" * 5_000
DEEP_FILTER = b'{"nodes":[' * 5_000 + b"]}" * 5_000


def test_it_is_a_codec_of_json() -> None:
    codec: Codec = JSON
    assert codec.is_json
    assert codec.ping == b"{}"
    assert codec.join([b"{}", b"[]"]) == b"{}\n[]"


@given(st.lists(COMMANDS, min_size=1, max_size=5), st.sampled_from([b"", b"\n"]))
def test_the_commands_of_a_frame_are_read_in_their_order(commands: list[Command], end: bytes) -> None:
    frame = JSON.join([as_json(command) for command in commands]) + end
    assert JSON.decode(frame, len(commands)) == commands
    with pytest.raises(ProtocolError):
        JSON.decode(frame, len(commands) - 1)


@pytest.mark.parametrize(
    ("frame", "command"),
    [
        ('{"id":1,"publish":{"channel":"a","data": {"b" :1.50, "\\u0061":1e400} }}',
         Publish(1, "a", b'{"b" :1.50, "\\u0061":1e400}')),
        ('{"id":1,"publish":{"channel":"a","data":null}}', Publish(1, "a", b"null")),
        ('{"id":1,"publish":{"channel":"a"}}', Publish(1, "a", b"")),
        ('{"id":1,"publish":{"channel":"a","data":1,"idempotency_key":"k","exclude_self":true}}',
         Publish(1, "a", b"1", "k", exclude_self=True)),
        ('{"id":1,"subscribe":{"channel":"a","offset":5,"epoch":"e"}}', Subscribe(1, "a")),
        ('{"id":1,"subscribe":{"channel":"a","recover":true}}', Subscribe(1, "a", Position("", 0))),
        ('{"id":1,"subscribe":{"channel":"a","new":{"unknown":[1]}},"other":1}', Subscribe(1, "a")),
        ('{"id":1,"subscribe":{"channel":"a","tf":{"op":"xor","nodes":[{"key":"k","vals":["v"]}]}}}',
         Subscribe(1, "a", filter=FilterNode("xor", nodes=(FilterNode(key="k", vals=("v",)),)))),
        ('{"id":1,"subscribe":{"channel":"a","tf":null,"max_rate":2}}', Subscribe(1, "a", max_rate=2.0)),
        ('{"id":1,"history":{"channel":"a","since":{}}}', History(1, "a", 0, Position("", 0))),
        ('{"id":1,"connect":{}}', Connect(1)),
        ('{"id":1,"connect":{"data":[1] ,"subs":{"a":{"recover":true,"offset":2},"b":{"delta":"fossil"}}}}',
         Connect(1, "", b"[1]", {"a": Since(Position("", 2)), "b": Since(None, delta=True)})),
        ('{"id":4294967295,"connect":{}}', Connect(ID_MAX)),
        ('{"id":1,"connect":{},"publish":null}', Connect(1)),
        ('{"id":1,"publish":{"channel":"a","data":1},"connect":{}}', Connect(1)),
        ('{"id":1,"refresh":{}}', Refresh(1, "")),
        ("{}", Pong()),
        (' {"id":0} \r', Pong()),
        ('{"publish":{"channel":"a","data":1}}', Pong()),
        ('{"send":{"data":1}}', Message(b"1")),
        ('{"id":1,"send":{"data":1}}', Message(b"1")),
        ('{"id":1,"rpc":{"method":"a","data":{"b":[1]}}}', Rpc(1, "a", b'{"b":[1]}')),
        ('{"id":1,"ping":{}}', Unserved(1, "ping")),
        ('{"id":1,"sub_refresh":{"token":"a"}}', SubRefresh(1, "", "a")),
        ('{"id":1,"presence":{"channel":"a"}}', Presence(1, "a")),
        ('{"id":1,"presence_stats":{"channel":"a"}}', PresenceStats(1, "a")),
        ('{"id":1,"publish":{"channel":"a","type":1,"key":"k"}}', Unserved(1, "map_publish", "a")),
        ('{"id":1,"subscribe":{"channel":"a","type":1}}', Unserved(1, "map", "a")),
        ('{"id":1,"subscribe":{"channel":"a","type":3}}', Unserved(1, "map", "a")),
        ('{"id":1,"subscribe":{"channel":"a","type":4}}', Unserved(1, "shared_poll", "a")),
    ],
    ids=range(30),
)  # fmt: skip
def test_a_frame_means_its_command(frame: str, command: Command) -> None:
    assert JSON.decode(frame.encode(), 1) == [command]


@pytest.mark.parametrize(
    "frame",
    [
        b"", b"\n", b"[]", b"null", b"1", b'"{}"', b"{", b"{}{}", b"{}\n\n{}", b"{}\n\n", b"\n{}", b"{id:1}",
        b'{"id":1}', b'{"id":1,"connect":null}', b'{"id":1,"connect":[]}', b'{"id":1,"unknown":{}}',
        b'{"id":"1","connect":{}}', b'{"id":1.5,"connect":{}}', b'{"id":null,"connect":{}}', b'{"id":-1}',
        b'{"id":%d,"connect":{}}' % (ID_MAX + 1), b'{"id":1%b,"rpc":{}}' % (b"0" * 400),
        b'{"id":1,"connect":{"token":1}}', b'{"id":1,"connect":{"token":null}}',
        b'{"id":1,"connect":{"headers":{"a":1}}}', b'{"id":1,"connect":{"subs":{"":{}}}}',
        b'{"id":1,"connect":{"subs":{"a":{"delta":"other"}}}}',
        b'{"id":1,"subscribe":{}}', b'{"id":1,"subscribe":{"channel":""}}',
        b'{"id":1,"subscribe":{"channel":1}}',
        b'{"id":1,"subscribe":{"channel":"a","delta":"other"}}', b'{"id":1,"subscribe":{"type":1}}',
        b'{"id":1,"subscribe":{"channel":"a","recover":true,"offset":-1}}',
        b'{"id":1,"subscribe":{"channel":"a","recover":true,"offset":%d}}' % (OFFSET_MAX + 1),
        b'{"id":1,"subscribe":{"channel":"a","recover":1}}', b'{"id":1,"subscribe":{"channel":"\xff"}}',
        b'{"id":1,"subscribe":{"channel":"\\ud800"}}', b'{"id":1,"unsubscribe":{}}',
        b'{"id":1,"subscribe":{"channel":"a","tf":{"op":1}}}',
        b'{"id":1,"subscribe":{"channel":"a","tf":[]}}',
        b'{"id":1,"subscribe":{"channel":"a","tf":%b}}' % DEEP_FILTER,
        b'{"id":1,"subscribe":{"channel":"a","max_rate":-1}}',
        b'{"id":1,"subscribe":{"channel":"a","max_rate":1e400}}',
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
    ids=range(64),
)  # fmt: skip
def test_what_is_no_sequence_of_commands_is_refused_as_a_whole(frame: bytes) -> None:
    with pytest.raises(ProtocolError):
        JSON.decode(frame, 10)


@given(JSON_VALUES)
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
        if event.info.channel_info:
            expected["info"]["chan_info"] = json.loads(event.info.channel_info)
    return expected | ({"tags": event.tags} if event.tags else {})


@given(st.integers(1, OFFSET_MAX), EVENTS, CHANNELS)
def test_a_publication_is_shown_alike_in_a_push_and_in_a_list(
    offset: int, event: Event, channel: str
) -> None:
    shown = {**publication_of(event), "offset": offset}
    pushed = JSON.encode_publication(JSON.head_of(channel), offset, event)
    assert json.loads(pushed) == {"push": {"channel": channel, "pub": shown}}
    assert b"\n" not in pushed
    listed = json.loads(JSON.encode_reply(1, HistoryPage("e", offset, [(offset, event)]), ""))
    assert listed["history"]["publications"] == [shown]


@given(EVENTS, CHANNELS)
def test_what_is_not_stored_has_no_offset_and_nothing_else_missing(event: Event, channel: str) -> None:
    pushed = JSON.encode_publication(JSON.head_of(channel), 0, event)
    assert json.loads(pushed) == {"push": {"channel": channel, "pub": publication_of(event)}}


def test_a_payload_that_looks_like_an_offset_stays_whole() -> None:
    """Every `,"offset":0}` was cut out of what is not stored, the payload's own too."""
    pushed = JSON.encode_publication(JSON.head_of("a"), 0, published(b'{"b":1,"offset":0}'))
    assert pushed == b'{"push":{"channel":"a","pub":{"data":{"b":1,"offset":0}}}}'


def pub(event: Event) -> str:
    pushed = JSON.encode_publication(JSON.head_of("a"), 3, event).decode()
    return pushed.removeprefix('{"push":{"channel":"a","pub":').removesuffix("}}")


def test_the_bytes_of_a_publication() -> None:
    assert pub(published(b'{"b" :1}')) == '{"data":{"b" :1},"offset":3}'
    assert pub(published(b"1", ClientInfo("ann", "c", b'{"n":\n1}', b"[\r]"), {"k": "v"})) == (
        '{"data":1,"info":{"user":"ann","client":"c","conn_info":{"n":1},"chan_info":[]},'
        '"tags":{"k":"v"},"offset":3}'
    )
    changed = Event(7, bytes(16), "note.created", 0, b'{"object":{}}', (("a", 3),))
    assert json.loads(pub(changed))["data"]["type"] == "note.created"


BASE = orjson.dumps({"text": "a long text that stays as it is, whatever else may change", "n": 1})
NEXT = BASE.replace(b"1", b"2")
HEAD = JSON.head_of("a")


def test_with_delta_a_publication_is_text_and_the_next_a_patch_of_it() -> None:
    first = json.loads(JSON.encode_patch(HEAD, 1, published(BASE, tags={"k": "v"}), None))["push"]["pub"]
    assert first == {"data": BASE.decode(), "tags": {"k": "v"}, "offset": 1}
    patched = json.loads(JSON.encode_patch(HEAD, 2, published(NEXT), BASE))["push"]["pub"]
    assert patched["delta"] is True
    assert len(patched["data"]) < len(NEXT)
    unlike = json.loads(JSON.encode_patch(HEAD, 2, published(b"[3]"), BASE))["push"]["pub"]
    assert unlike == {"data": "[3]", "offset": 2}
    assert "offset" not in json.loads(JSON.encode_patch(HEAD, 0, published(NEXT), BASE))["push"]["pub"]


def test_with_delta_a_payload_keeps_its_newlines() -> None:
    """A patch is of the bytes that were published: the text must be those."""
    pushed = JSON.encode_patch(HEAD, 1, published(b"[\r\n1]"), None)
    assert b"\n" not in pushed
    assert json.loads(pushed)["push"]["pub"]["data"] == "[\r\n1]"


@given(st.text("aé€😀", max_size=90), st.text("aé€😀", max_size=90))
def test_a_patch_cuts_no_character(base: str, target: str) -> None:
    pushed = JSON.encode_patch(HEAD, 2, published(orjson.dumps(target)), orjson.dumps(base))
    read = JSON_READER.publication(json.loads(pushed)["push"]["pub"], orjson.dumps(base), is_delta=True)
    assert read.data == orjson.dumps(target)


ONE = (1, published(b"1"))
TWO = (2, published(b"[\n2]"))


@pytest.mark.parametrize(
    ("reply", "line"),
    [
        (Connected("c", 25), '"connect":{"client":"c","version":"v","ping":25,"pong":true}'),
        (Connected("c", 25, 60),
         '"connect":{"client":"c","version":"v","expires":true,"ttl":60,"ping":25,"pong":true}'),
        (Connected("c", 25, None, b"[\n1]", {"a": Subscribed("e", 2)}, "s", "n", pong=False),
         ('"connect":{"client":"c","version":"v","data":[1],"subs":{"a":{"recoverable":true,'
          '"positioned":true,"epoch":"e","offset":2}},"ping":25,"session":"s","node":"n"}')),
        (Refreshed("c", None), '"refresh":{"client":"c","version":"v"}'),
        (Refreshed("c", 0), '"refresh":{"client":"c","version":"v","expires":true,"ttl":1}'),
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
    ],
    ids=range(13),
)  # fmt: skip
def test_the_line_of_each_reply(reply: Reply, line: str) -> None:
    assert JSON.encode_reply(5, reply, "v").decode() == '{"id":5,' + line + "}"
    assert json.loads(JSON.encode_reply(ID_MAX, reply, ""))["id"] == ID_MAX


def test_a_recovery_with_delta_lists_text_and_patches_of_it() -> None:
    recovered = Subscribed(
        "e", 0, publications=[(1, published(BASE)), (2, published(NEXT))], delta=True, patches=True
    )
    shown = json.loads(JSON.encode_reply(1, recovered, ""))["subscribe"]["publications"]
    assert shown[0] == {"data": BASE.decode(), "offset": 1}
    assert shown[1] == json.loads(JSON.encode_patch(HEAD, 2, published(NEXT), BASE))["push"]["pub"]


def test_the_line_of_a_push() -> None:
    assert JSON.encode_push(SubscriptionEnded('a"', 2500)) == (
        b'{"push":{"channel":"a\\"","unsubscribe":{"code":2500,"reason":"insufficient state"}}}'
    )
    assert JSON.encode_push(Joined("a", ClientInfo("", "c"))) == (
        b'{"push":{"channel":"a","join":{"info":{"user":"","client":"c"}}}}'
    )


def test_one_conversation() -> None:
    """The one that the protocol's description shows, line by line."""
    opening = (
        b'{"connect":{"token":"<jwt>","name":"js"},"id":1}\n'
        b'{"subscribe":{"channel":"news","recover":true,"epoch":"kQzVbRtp","offset":43,"flag":1},"id":2}'
    )
    assert JSON.decode(opening, 10) == [
        Connect(1, "<jwt>", name="js"),
        Subscribe(2, "news", Position("kQzVbRtp", 43)),
    ]
    assert JSON.encode_reply(1, Connected("7a37", 25, 3600), "x.y") == (
        b'{"id":1,"connect":{"client":"7a37","version":"x.y","expires":true,"ttl":3600,"ping":25,"pong":true}}'
    )
    missed = [(44, published(b'{"n":3}')), (45, published(b'{"n":4}'))]
    assert JSON.encode_reply(
        2, Subscribed("kQzVbRtp", 43, was_recovering=True, recovered=True, publications=missed), ""
    ) == (
        b'{"id":2,"subscribe":{"recoverable":true,"positioned":true,"epoch":"kQzVbRtp","offset":43,'
        b'"was_recovering":true,"recovered":true,'
        b'"publications":[{"data":{"n":3},"offset":44},{"data":{"n":4},"offset":45}]}}'
    )
    publish = b'{"publish":{"channel":"news","data":{"n":5}},"id":5}'
    assert JSON.decode(publish, 10) == [Publish(5, "news", b'{"n":5}')]
    assert JSON.encode_reply(5, Published("kQzVbRtp", 46), "") == (
        b'{"id":5,"publish":{"offset":46,"epoch":"kQzVbRtp"}}'
    )
    pushed = published(b'{"n":5}', ClientInfo("42", "7a37"))
    assert JSON.encode_publication(JSON.head_of("news"), 46, pushed) == (
        b'{"push":{"channel":"news","pub":{"data":{"n":5},"info":{"user":"42","client":"7a37"},"offset":46}}}'
    )
    assert JSON.decode(b'{"refresh":{"token":"<new jwt>"},"id":6}', 10) == [Refresh(6, "<new jwt>")]
