"""Unidirectional transports: one bare request comes, bare pushes go."""

import json

import pytest

from core.connections.codec import Codec, ProtocolError
from core.connections.codec_uni import UNI
from core.connections.frames import Connect, Connected, Disconnected, Since, Subscribed, Unsubscribed
from core.streams.position import Position
from tests.helpers.replies import published


def test_it_is_a_codec_of_json() -> None:
    codec: Codec = UNI
    assert codec.is_json
    assert codec.ping == b"{}"
    assert codec.join([b"{}", b"[]"]) == b"{}\n[]"


def test_a_bare_request_is_the_connect_command() -> None:
    assert UNI.decode(b"{}", 1) == [Connect(1)]
    request = (
        b'{"token":"t","data":{"n": 1},"name":"js","subs":{"a":{"recover":true,"epoch":"e","offset":3}}}\n'
    )
    since = {"a": Since(Position("e", 3))}
    assert UNI.decode(request, 1) == [Connect(1, "t", b'{"n": 1}', since, "js")]


@pytest.mark.parametrize(
    "message",
    [b"", b"[]", b"null", b"{", b"{}{}", b"{}\n{}", b'{"token":1}', b'{"data":"\xff"}', b'{"subs":{"":{}}}',
     b'{"data":%b}' % (b"[" * 5_000 + b"]" * 5_000)],
    ids=range(10),
)  # fmt: skip
def test_what_is_no_request_is_refused(message: bytes) -> None:
    with pytest.raises(ProtocolError):
        UNI.decode(message, 1)


def test_the_answer_is_a_push() -> None:
    connected = Connected("c", 25, None, b"", {"a": Subscribed("e", 2)}, "s", pong=False)
    assert UNI.encode_reply(1, connected, "v") == (
        b'{"connect":{"client":"c","version":"v",'
        b'"subs":{"a":{"recoverable":true,"positioned":true,"epoch":"e","offset":2}},"ping":25,"session":"s"}}'
    )


def test_there_is_no_other_answer() -> None:
    with pytest.raises(AssertionError):
        UNI.encode_reply(1, Unsubscribed(), "v")


def test_pushes_are_bare() -> None:
    assert UNI.encode_push(Disconnected(3001)) == b'{"disconnect":{"code":3001,"reason":"shutdown"}}'
    head = UNI.head_of('a"')
    assert UNI.encode_publication(head, 3, published(b"[\n1]")) == (
        b'{"channel":"a\\"","pub":{"data":[1],"offset":3}}'
    )
    base, target = json.dumps(["x"] * 50).encode(), json.dumps(["x"] * 51).encode()
    assert json.loads(UNI.encode_patch(head, 3, published(base), None))["pub"]["data"] == base.decode()
    assert json.loads(UNI.encode_patch(head, 4, published(target), base))["pub"]["delta"] is True
