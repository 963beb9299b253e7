"""A request for a socket: what is read from it, and which ones never become one."""

import pytest
from multidict import CIMultiDict

from core.errors import Code, TidingsError
from gateway.realtime.upgrades import Upgrade, read_upgrade
from tests.helpers.frames import KEY

PATH = b"/connection/websocket"


def headers(**changed: str) -> CIMultiDict[str]:
    fields = {
        "host": "localhost",
        "upgrade": "websocket",
        "connection": "Upgrade",
        "sec-websocket-key": KEY,
        "sec-websocket-version": "13",
        **{name.replace("_", "-"): value for name, value in changed.items()},
    }
    return CIMultiDict({name: value for name, value in fields.items() if value})


def read(target: bytes = PATH, **changed: str) -> Upgrade:
    return read_upgrade(target, headers(**changed))


@pytest.mark.parametrize(
    ("target", "offered", "is_protobuf", "answered"),
    [
        (b"", "", False, ""),
        (b"", "centrifuge-json", False, "centrifuge-json"),
        (b"", "centrifuge-protobuf", True, "centrifuge-protobuf"),
        (b"", "centrifuge-json, centrifuge-protobuf", True, "centrifuge-protobuf"),
        (b"", "other , centrifuge-protobuf", True, "centrifuge-protobuf"),
        (b"", "graphql-ws", False, ""),
        (b"", " ", False, ""),
        (b"", ",", False, ""),
        (b"?format=protobuf", "", True, ""),
        (b"?cf_protocol=protobuf", "", True, ""),
        (b"?cf_protocol=json", "", False, ""),
        (b"?format=protobuf&cf_protocol_version=v2", "centrifuge-json", True, "centrifuge-json"),
        (b"?cf_protocol_version=v2&anything=else", "", False, ""),
    ],
)
def test_the_encoding_is_what_was_offered_or_named(
    target: bytes, offered: str, *, is_protobuf: bool, answered: str
) -> None:
    upgrade = read(PATH + target, sec_websocket_protocol=offered)
    assert (upgrade.transport, upgrade.is_protobuf, upgrade.subprotocol) == (
        "websocket",
        is_protobuf,
        answered,
    )


def test_an_empty_list_of_protocols_offers_none() -> None:
    fields = headers()
    fields.add("Sec-WebSocket-Protocol", "")  # as centrifuge-python sends it
    assert read_upgrade(PATH, fields).subprotocol == ""


def test_protocols_and_extensions_may_stand_on_several_lines() -> None:
    fields = headers()
    for name, value in (
        ("Sec-WebSocket-Protocol", "other"),
        ("Sec-WebSocket-Protocol", "centrifuge-protobuf"),
        ("Sec-WebSocket-Extensions", "x-other"),
        ("Sec-WebSocket-Extensions", "permessage-deflate"),
    ):
        fields.add(name, value)
    upgrade = read_upgrade(PATH, fields)
    assert upgrade.subprotocol == "centrifuge-protobuf"
    assert upgrade.extensions == "x-other,permessage-deflate"


def test_native_pings_are_asked_for_by_their_name() -> None:
    assert read(PATH + b"?cf_ws_frame_ping_pong=true").has_native_pings
    assert not read(PATH + b"?cf_ws_frame_ping_pong=false").has_native_pings
    assert not read().has_native_pings


def test_one_who_says_nothing_more_says_it_in_the_query() -> None:
    upgrade = read(b"/connection/uni_websocket?cf_connect=%7B%22token%22%3A%22a%2Bb%22%7D&format=protobuf")
    assert (upgrade.transport, upgrade.first) == ("uni_websocket", b'{"token":"a+b"}')
    assert not upgrade.is_protobuf
    assert read(b"/connection/uni_websocket").first is None
    assert read(PATH + b"?cf_connect=%7B%7D").first is None
    assert read(b"/connection/uni_websocket?cf_connect=").first is None


@pytest.mark.parametrize("target", [PATH + b"/", PATH + b"//", PATH + b"/?a=1"])
def test_slashes_at_the_end_are_not_minded(target: bytes) -> None:
    assert read(target).transport == "websocket"


@pytest.mark.parametrize(
    "changed",
    [
        {"connection": "keep-alive, Upgrade"},
        {"connection": "upgrade"},
        {"upgrade": "WebSocket"},
        {"upgrade": "h2c, websocket"},
    ],
    ids=str,
)
def test_browsers_ask_in_several_forms(changed: dict[str, str]) -> None:
    assert read(**changed) == read()


@pytest.mark.parametrize(
    ("changed", "code"),
    [
        ({"upgrade": ""}, Code.UPGRADE_REQUIRED),
        ({"upgrade": "h2c"}, Code.UPGRADE_REQUIRED),
        ({"connection": ""}, Code.UPGRADE_REQUIRED),
        ({"connection": "keep-alive"}, Code.UPGRADE_REQUIRED),
        ({"sec_websocket_version": ""}, Code.UPGRADE_REQUIRED),
        ({"sec_websocket_version": "8"}, Code.UPGRADE_REQUIRED),
        ({"sec_websocket_version": "14"}, Code.UPGRADE_REQUIRED),
        ({"sec_websocket_version": "13, 8"}, Code.UPGRADE_REQUIRED),
        ({"sec_websocket_key": ""}, Code.HEADER_INVALID),
        ({"sec_websocket_key": "short"}, Code.HEADER_INVALID),
        ({"sec_websocket_key": "AAAAAAAAAAAAAAAAAAAA"}, Code.HEADER_INVALID),
        ({"sec_websocket_key": KEY + KEY}, Code.HEADER_INVALID),
        ({"sec_websocket_key": "ñ" * 24}, Code.HEADER_INVALID),
    ],
    ids=str,
)
def test_a_wrong_handshake_is_refused(changed: dict[str, str], code: Code) -> None:
    with pytest.raises(TidingsError) as refused:
        read(**changed)
    assert refused.value.code is code


def test_two_keys_are_none() -> None:
    fields = headers()
    fields.add("Sec-WebSocket-Key", KEY)
    with pytest.raises(TidingsError) as refused:
        read_upgrade(PATH, fields)
    assert refused.value.code is Code.HEADER_INVALID


@pytest.mark.parametrize(
    ("target", "code"),
    [
        (b"/", Code.ROUTE_NOT_FOUND),
        (b"/connection", Code.ROUTE_NOT_FOUND),
        (b"/connection/websocket2", Code.ROUTE_NOT_FOUND),
        (b"/connection/sse", Code.ROUTE_NOT_FOUND),
        (PATH + b"?format=%zz", Code.MALFORMED_REQUEST),
        (PATH + b"?format=%ff", Code.MALFORMED_REQUEST),
        (PATH + b"?format=json&format=protobuf", Code.UNKNOWN_PARAMETER),
        (PATH + b"?a=" + b"x" * 8_192, Code.URI_TOO_LONG),
    ],
    ids=lambda value: str(value)[:40],
)
def test_a_wrong_target_is_refused(target: bytes, code: Code) -> None:
    with pytest.raises(TidingsError) as refused:
        read(target)
    assert refused.value.code is code


def test_a_request_has_a_hundred_headers_at_most() -> None:
    fields = headers()
    for number in range(100 - len(fields)):
        fields.add(f"X-{number}", "1")
    assert read_upgrade(PATH, fields).transport == "websocket"
    fields.add("X-Last", "1")
    with pytest.raises(TidingsError) as refused:
        read_upgrade(PATH, fields)
    assert refused.value.code is Code.HEADERS_TOO_LARGE
