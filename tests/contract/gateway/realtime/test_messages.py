"""RFC 6455 and RFC 7692, case by case: bytes in, and what must come back from a real listener."""

import zlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import orjson
import pytest

from adapters.embedded.postgres import EmbeddedPostgres
from settings import Realtime
from tests.helpers.database import fresh_database
from tests.helpers.frames import (
    BINARY,
    CLOSE,
    CONTINUATION,
    CONTROLS,
    OPCODES,
    PING,
    PONG,
    TEXT,
    Heard,
    Peer,
    close,
    frame,
)
from tests.helpers.realtime import Realtimes
from tests.helpers.sockets import in_a_thread, port_of

LIMIT = Realtime().message_bytes_max
GOODBYE = b"still there?"


@dataclass(frozen=True, slots=True)
class Case:
    """What a connected peer sends, and what comes back.

    `replies`: ids of commands that are answered. `pongs`: payloads, in order. `code`: of the close frame
    with which TCP ends; 0: the connection lives on. `is_asked`: it is the server that asks for the end, so
    it waits for our close frame.
    """

    name: str
    sent: Sequence[bytes]
    code: int = 0
    pongs: Sequence[bytes] = ()
    replies: frozenset[int] = frozenset()
    is_asked: bool = False


def command(id_: int, *, padding: str = "") -> bytes:
    """Return a command that is answered: a publication, whose payload may have any text."""
    return b'{"id":%d,"publish":{"channel":"c","data":"%b"}}' % (id_, padding.encode())


def sized(size: int) -> bytes:
    """Return a command of so many bytes."""
    return command(7, padding="x" * (size - len(command(7))))


def around(*, before: bytes = b"", text: bytes, after: bytes = b"") -> bytes:
    return b'{"id":7,"publish":{"channel":"c","data":"%b"}}' % (before + text + after)


def headers() -> Iterator[Case]:
    """Frames that are wrong in themselves."""
    start = frame(TEXT, b"{", fin=False)
    for rsv in range(1, 8):
        for name, opcode in OPCODES.items():
            before = [start] if opcode == CONTINUATION else []
            payload = b"\x03\xe8" if opcode == CLOSE else command(7)
            yield Case(f"{name}, reserved bits {rsv:03b}", [*before, frame(opcode, payload, rsv=rsv)], 1002)
    for opcode in (*range(0x3, 0x8), *range(0xB, 0x10)):
        for payload in (b"", command(7)):
            for fin in (True, False):
                name = f"opcode {opcode:x}, {len(payload)} bytes, {'last' if fin else 'first'}"
                yield Case(name, [frame(opcode, payload, fin=fin)], 1002)
    for name, opcode in OPCODES.items():
        for payload in (b"", command(7)):
            before = [start] if opcode == CONTINUATION else []
            sent = [*before, frame(opcode, payload, mask=None)]
            yield Case(f"{name} of {len(payload)} bytes without a mask", sent, 1002)


def controls() -> Iterator[Case]:
    """Control frames are short and whole (§5.5)."""
    for name, opcode in CONTROLS.items():
        for size in (0, 2, 125):
            yield Case(f"{name} of {size} bytes, a fragment", [frame(opcode, bytes(size), fin=False)], 1002)
        for size in (126, 127, 1_000, 65_535, 65_536):
            yield Case(f"{name} of {size} bytes", [frame(opcode, bytes(size))], 1002)
    for size in (0, 1, 2, 4, 63, 124, 125):
        payload = bytes(range(131, 131 + size))
        yield Case(f"ping of {size} bytes", [frame(PING, payload)], pongs=[payload])
        yield Case(f"pong of {size} bytes that nobody asked for", [frame(PONG, payload)])
    many = [b"%d" % number for number in range(100)]
    yield Case("a hundred pings at once", [b"".join(frame(PING, one) for one in many)], pongs=many)
    yield Case("a hundred pings one by one", [frame(PING, one) for one in many], pongs=many)
    yield Case("ping in single bytes", [bytes([byte]) for byte in frame(PING, b"slow")], pongs=[b"slow"])
    yield Case(
        "ping, then a pong", [frame(PING, b"1"), frame(PONG, b"1"), frame(PING, b"2")], pongs=[b"1", b"2"]
    )


def lengths() -> Iterator[Case]:
    """The length takes the fewest bytes, and its first bit is 0 (§5.2)."""
    for name in ("text", "binary"):
        opcode = OPCODES[name]
        for size, length_bytes in ((0, 2), (1, 2), (125, 2), (0, 8), (125, 8), (126, 8), (65_535, 8)):
            sent = [frame(opcode, bytes(size), length_bytes=length_bytes)]
            yield Case(f"{name}, {size} in {8 * length_bytes} bits", sent, 1002)
        for length in (1 << 63, (1 << 64) - 1):
            yield Case(f"{name}, length {length:x}", [frame(opcode, length=length)], 1002)
        for length in (LIMIT + 1, 1 << 20, 1 << 31, 1 << 32, 1 << 40, (1 << 63) - 1):
            yield Case(f"{name}, {length} bytes announced", [frame(opcode, length=length)], 1009)
        for size in (60, 125, 126, 127, 1_000, 32_767, 65_535, LIMIT):
            yield Case(f"{name} of {size} bytes", [frame(opcode, sized(size))], replies=frozenset({7}))
        yield Case(f"{name} a byte too long", [frame(opcode, sized(LIMIT + 1))], 1009)


def masks() -> Iterator[Case]:
    """Any mask is one (§5.3)."""
    for mask in (b"\0\0\0\0", b"\xff\xff\xff\xff", b"\0\xff\0\xff", b'{"id', b"\x01\x02\x03\x04"):
        for size in (61, 62, 63, 64, 300):
            sent = [frame(TEXT, sized(size), mask=mask)]
            yield Case(f"mask {mask.hex()}, {size} bytes", sent, replies=frozenset({7}))


def fragments() -> Iterator[Case]:
    """Messages in several frames (§5.4)."""
    whole = sized(600)
    for name in ("text", "binary"):
        opcode = OPCODES[name]
        for count in (2, 3, 7, 600):
            parts = list(fragmented(opcode, whole, len(whole) // count))
            yield Case(f"{name} in {count} fragments", parts, replies=frozenset({7}))
            yield Case(f"{name} in {count} fragments at once", [b"".join(parts)], replies=frozenset({7}))
        empty = frame(CONTINUATION, fin=False)
        begun, last = frame(opcode, whole[:9], fin=False), frame(CONTINUATION, whole[9:])
        yield Case(
            f"{name} with an empty first frame",
            [frame(opcode, fin=False), frame(CONTINUATION, whole)],
            replies=frozenset({7}),
        )
        yield Case(f"{name} with empty frames within", [begun, *[empty] * 50, last], replies=frozenset({7}))
        yield Case(
            f"{name} with an empty last frame",
            [frame(opcode, whole, fin=False), frame(CONTINUATION)],
            replies=frozenset({7}),
        )
        yield Case(
            f"{name} around pings",
            [begun, frame(PING, b"1"), frame(PING, b"2"), last],
            pongs=[b"1", b"2"],
            replies=frozenset({7}),
        )
        yield Case(f"{name} around a pong", [begun, frame(PONG), last], replies=frozenset({7}))
        yield Case(f"{name} around a close frame", [begun, close(1000), last], 1000)
        for other in ("text", "binary"):
            within = frame(OPCODES[other], command(8))
            yield Case(f"{name} around a whole {other}", [begun, within, last], 1002)
            first = frame(OPCODES[other], command(8), fin=False)
            yield Case(f"{name} around another {other} that begins", [begun, first], 1002)
        yield Case(f"{name}, then one continuation too many", [begun, last, frame(CONTINUATION, b"{}")], 1002)
        half = LIMIT // 2
        long = sized(LIMIT)
        yield Case(
            f"{name}, at the limit in fragments", list(fragmented(opcode, long, half)), replies=frozenset({7})
        )
        for count in (2, 5, 64):
            parts = list(fragmented(opcode, sized(LIMIT + 1), LIMIT // count))
            yield Case(f"{name}, a byte too long in fragments of {LIMIT // count}", parts, 1009)
        yield Case(
            f"{name}, too long and without an end",
            [begun, *[frame(CONTINUATION, bytes(half), fin=False)] * 2],
            1009,
        )
    for fin in (True, False):
        for payload in (b"", command(7)):
            name = f"a continuation of nothing, {len(payload)} bytes, {'last' if fin else 'not last'}"
            yield Case(name, [frame(CONTINUATION, payload, fin=fin)], 1002)


def fragmented(opcode: int, payload: bytes, size: int) -> Iterator[bytes]:
    for start in range(0, len(payload), size):
        last = start + size >= len(payload)
        yield frame(CONTINUATION if start else opcode, payload[start : start + size], fin=last)


def segments() -> Iterator[Case]:
    """Frames do not care how TCP cuts them."""
    stream = b"".join(
        [frame(TEXT, command(7)), frame(PING, b"p"), frame(TEXT, sized(400).replace(b'"id":7', b'"id":8'))]
    )
    both = frozenset({7, 8})
    for size in (1, 2, 3, 5, 8, 64, 1_000):
        cut = [stream[at : at + size] for at in range(0, len(stream), size)]
        yield Case(f"segments of {size} bytes", cut, pongs=[b"p"], replies=both)
    commands = [command(id_) for id_ in range(10, 60)]
    yield Case(
        "fifty frames in one segment",
        [b"".join(frame(TEXT, one) for one in commands)],
        replies=frozenset(range(10, 60)),
    )
    yield Case(
        "fifty commands in one frame", [frame(TEXT, b"\n".join(commands))], replies=frozenset(range(10, 60))
    )
    yield Case("a header without its end, then the end of TCP", [frame(TEXT, command(7))[:1]])


VALID = {
    "two bytes": "ñ",
    "three bytes": "€",
    "four bytes": "𝄞",
    "the last of one byte": "\x7f",
    "the first of two": "\x80",
    "the last of two": "\u07ff",
    "the first of three": "\u0800",
    "below the surrogates": "\ud7ff",
    "above the surrogates": "\ue000",
    "a noncharacter": "\ufffe",
    "the last of three": "\uffff",
    "the first of four": "\U00010000",
    "the last of all": "\U0010ffff",
    "a byte order mark": "\ufeff",
    "mixed": "κόσμε 🎉",
}
INVALID = {
    "a lone continuation": b"\x80",
    "the last lone continuation": b"\xbf",
    "two lone continuations": b"\x80\xbf",
    "two bytes, cut": b"\xc3",
    "three bytes, cut after one": b"\xe2",
    "three bytes, cut after two": b"\xe2\x82",
    "four bytes, cut after one": b"\xf0",
    "four bytes, cut after two": b"\xf0\x9d",
    "four bytes, cut after three": b"\xf0\x9d\x84",
    "overlong slash in two": b"\xc0\xaf",
    "overlong slash in three": b"\xe0\x80\xaf",
    "overlong slash in four": b"\xf0\x80\x80\xaf",
    "overlong zero": b"\xc0\x80",
    "the largest overlong of two": b"\xc1\xbf",
    "the largest overlong of three": b"\xe0\x9f\xbf",
    "the largest overlong of four": b"\xf0\x8f\xbf\xbf",
    "the first surrogate": b"\xed\xa0\x80",
    "the last surrogate": b"\xed\xbf\xbf",
    "a pair of surrogates": b"\xed\xa0\x80\xed\xb0\x80",
    "above the last": b"\xf4\x90\x80\x80",
    "five bytes": b"\xf8\x88\x80\x80\x80",
    "six bytes": b"\xfc\x84\x80\x80\x80\x80",
    "fe": b"\xfe",
    "ff": b"\xff",
    "Latin-1": b"caf\xe9",
}


def texts() -> Iterator[Case]:
    """A text is UTF-8 as a whole, wherever it is cut (§8.1)."""
    for name, text in VALID.items():
        encoded = orjson.dumps(text)[1:-1]
        message = around(text=encoded)
        yield Case(f"text with {name}", [frame(TEXT, message)], replies=frozenset({7}))
        within = message.index(encoded) + len(encoded) // 2
        parts = [frame(TEXT, message[:within], fin=False), frame(CONTINUATION, message[within:])]
        yield Case(f"text with {name}, cut within", parts, replies=frozenset({7}))
    for name, bad in INVALID.items():
        message = around(before=b"good ", text=bad)
        yield Case(f"text with {name}", [frame(TEXT, message)], 1007)
        yield Case(f"text in fragments with {name}", list(fragmented(TEXT, message, 1)), 1007)
        yield Case(f"binary with {name}", [frame(BINARY, message)], 3501, is_asked=True)


def closes() -> Iterator[Case]:
    """The close handshake (§5.5.1, §7.4)."""
    yield Case("close without a code", [close()], 1000)
    for code in (1000, 1001, 1002, 1003, *range(1007, 1015), 3000, 3501, 3999, 4000, 4500, 4999):
        yield Case(f"close {code}", [close(code)], code)
        yield Case(f"close {code} with a reason", [close(code, "très bien".encode())], code)
    for code in (0, 1, 500, 999, 1004, 1005, 1006, 1015, 1016, 1100, 1999, 2000, 2999, 5000, 9999, 65_535):
        yield Case(f"close {code}, which is no code", [close(code)], 1002)
    yield Case("close with half a code", [frame(CLOSE, b"\x03")], 1002)
    yield Case("close with the longest reason", [close(1000, b"x" * 123)], 1000)
    yield Case("close with a reason too long", [close(1000, b"x" * 124)], 1002)
    for name, bad in INVALID.items():
        yield Case(f"close with {name}", [close(1000, bad)], 1007)
    yield Case("close, then a command", [close(1000) + frame(TEXT, command(7))], 1000)
    yield Case("close, then a ping", [close(1000) + frame(PING, b"late")], 1000)
    # picows parses one frame ahead: what is wrong right behind a close frame comes before its answer.
    yield Case("close and another in one segment", [close(4001) + close(4002)], 1002)
    yield Case("close and nonsense in one segment", [close(1000) + bytes(100)], 1002)
    yield Case("a violation, then a close", [frame(TEXT, rsv=4) + close(1000)], 1002)
    yield Case("a ping, then a violation", [frame(PING, b"1"), frame(CONTINUATION)], 1002, pongs=[b"1"])


def packed() -> Iterator[Case]:
    """Messages on a connection with permessage-deflate (RFC 7692 §6.2)."""
    seven, whole = frozenset({7}), deflated(sized(5_000))
    half = len(whole) // 2
    for name in ("text", "binary"):
        opcode = OPCODES[name]
        yield Case(f"compressed {name}", [frame(opcode, whole, rsv=4)], replies=seven)
        two = [frame(opcode, whole, rsv=4), frame(opcode, deflated(command(8)), rsv=4)]
        yield Case(f"compressed {name}, and a second one", two, replies=frozenset({7, 8}))
        yield Case(f"{name} as it is", [frame(opcode, sized(500))], replies=seven)
        begun, last = frame(opcode, whole[:half], fin=False, rsv=4), frame(CONTINUATION, whole[half:])
        yield Case(f"compressed {name} in fragments", [begun, last], replies=seven)
        yield Case(f"compressed {name} around a ping", [begun, frame(PING), last], pongs=[b""], replies=seven)
        yield Case(f"{name} that says it continues compressed", [begun, frame(CONTINUATION, rsv=4)], 1002)
        yield Case(f"{name} that was never compressed", [frame(opcode, command(7), rsv=4)], 1007)
        for rsv in (1, 2, 3, 5, 6, 7):
            yield Case(f"compressed {name}, reserved bits {rsv:03b}", [frame(opcode, whole, rsv=rsv)], 1002)
        yield Case(
            f"{name} of ten times the limit",
            [frame(opcode, deflated(sized(10 * LIMIT)), rsv=4)],
            replies=seven,
        )
        for size in (10 * LIMIT + 1, 50_000_000):
            yield Case(f"{name} that unpacks to {size}", [frame(opcode, deflated(bytes(size)), rsv=4)], 1009)
    for name, opcode in CONTROLS.items():
        yield Case(f"compressed {name}", [frame(opcode, b"", rsv=4)], 1002)
    for name, bad in INVALID.items():
        yield Case(f"compressed text with {name}", [frame(TEXT, deflated(around(text=bad)), rsv=4)], 1007)


def deflated(message: bytes) -> bytes:
    packer = zlib.compressobj(9, zlib.DEFLATED, -15)
    return (packer.compress(message) + packer.flush(zlib.Z_SYNC_FLUSH))[:-4]


CASES = [*headers(), *controls(), *lengths(), *masks(), *fragments(), *segments(), *texts(), *closes()]
PACKED = list(packed())


def test_there_are_enough_cases() -> None:
    for cases in (CASES, PACKED):
        assert len({case.name for case in cases}) == len(cases)
    assert len(CASES) + len(PACKED) >= 500


@pytest.fixture(scope="module")
def compressing(postgres: EmbeddedPostgres) -> Iterator[Realtimes]:
    """Give a replica that compresses."""
    with fresh_database(postgres) as url, in_a_thread(url, drain_s=0.0, compression=True) as system:
        yield system


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_rfc_6455(shared: Realtimes, case: Case) -> None:
    with Peer(port_of(shared)) as peer:
        assert peer.upgrade().status == 101
        converse(peer, shared.key, case)


@pytest.mark.parametrize("case", PACKED, ids=lambda case: case.name)
def test_rfc_7692(compressing: Realtimes, case: Case) -> None:
    with Peer(port_of(compressing)) as peer:
        answer = peer.upgrade(Sec_WebSocket_Extensions="permessage-deflate; client_max_window_bits")
        assert answer.headers["sec-websocket-extensions"].startswith("permessage-deflate")
        converse(peer, compressing.key, case)


def converse(peer: Peer, key: str, case: Case) -> None:
    """Connect, send what the case says, and check what comes back."""
    peer.send(frame(TEXT, b'{"id":1,"connect":{"token":"%b"}}' % key.encode()))
    connected = peer.hear()
    assert connected.opcode == TEXT
    peer.send(*case.sent)
    heard = list(ending(peer, case) if case.code else living(peer, case))
    assert all(one.first & 0xF0 == 0x80 for one in heard), "whole frames, no reserved bits"
    assert [one.payload for one in heard if one.opcode == PONG] == list(case.pongs)
    assert [one.code for one in heard if one.opcode == CLOSE] == [case.code] * bool(case.code)
    if not case.code:
        lines = [line for one in heard if one.opcode == TEXT for line in one.payload.split(b"\n")]
        assert {orjson.loads(line)["id"] for line in lines} == case.replies


def ending(peer: Peer, case: Case) -> Iterator[Heard]:
    heard = list(peer.rest(answers=case.is_asked))
    assert heard[-1].opcode == CLOSE, "nothing comes after a close frame"
    yield from heard


def living(peer: Peer, case: Case) -> Iterator[Heard]:
    """Yield what is heard until everything is answered, and then a last ping."""
    missing = len(case.pongs) + len(case.replies)
    while missing > 0:
        heard = peer.hear()
        missing -= 1 if heard.opcode == PONG else heard.payload.count(b"\n") + 1
        yield heard
    if "the end of TCP" in case.name:
        peer.end()
        assert not list(peer.rest())
        return
    peer.send(frame(PING, GOODBYE))
    last = peer.hear()
    assert (last.opcode, last.payload) == (PONG, GOODBYE)
