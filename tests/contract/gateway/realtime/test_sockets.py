"""The listener of sockets: who gets one, who gets a problem document instead, and what nobody gets."""

import contextlib
import logging
import time
from collections.abc import Iterator

import orjson
import pytest

from adapters.embedded.postgres import EmbeddedPostgres
from tests.helpers.database import fresh_database
from tests.helpers.frames import ACCEPT, TEXT, Answer, Peer, close, frame, request
from tests.helpers.realtime import Realtimes
from tests.helpers.sockets import in_a_thread, port_of

PATH = "/connection/websocket"
KEY = "tdg_test_frltGemFCz2wyaPn8EXmNdxHNVLMlv3tiuti"
ADDRESS, OTHER = "203.0.113.7", "203.0.113.8"


def asked(system: Realtimes, path: str = PATH, **headers: str) -> Answer:
    with Peer(port_of(system)) as peer:
        return peer.upgrade(path, **headers)


@pytest.fixture(scope="module")
def strict(postgres: EmbeddedPostgres) -> Iterator[Realtimes]:
    """Give a replica that lets hardly anybody in."""
    limits = {"address_connects_burst": 3, "address_connects_per_s": 0.001, "address_connections_max": 2}
    with fresh_database(postgres) as url, in_a_thread(url, drain_s=0.0, handshake_s=0.5, **limits) as system:
        yield system


def test_an_upgrade_is_answered_as_the_rfc_shows(shared: Realtimes) -> None:
    answer = asked(shared)
    assert (answer.status, answer.headers["sec-websocket-accept"]) == (101, ACCEPT)
    assert answer.headers["upgrade"] == "websocket"
    assert answer.headers["connection"].lower() == "upgrade"
    assert "sec-websocket-protocol" not in answer.headers
    assert "sec-websocket-extensions" not in answer.headers


@pytest.mark.parametrize(
    ("offered", "answered"),
    [
        ("centrifuge-json", "centrifuge-json"),
        ("centrifuge-protobuf", "centrifuge-protobuf"),
        ("centrifuge-json, centrifuge-protobuf", "centrifuge-protobuf"),
        ("something-else", None),
        (" ", None),
    ],
)
def test_a_known_protocol_is_answered_if_it_was_offered(
    shared: Realtimes, offered: str, answered: str | None
) -> None:
    answer = asked(shared, Sec_WebSocket_Protocol=offered)
    assert (answer.status, answer.headers.get("sec-websocket-protocol")) == (101, answered)


def test_compression_is_off_unless_the_installation_wants_it(shared: Realtimes) -> None:
    answer = asked(shared, Sec_WebSocket_Extensions="permessage-deflate; client_max_window_bits")
    assert answer.status == 101
    assert "sec-websocket-extensions" not in answer.headers


def test_firefox_gets_its_socket(shared: Realtimes) -> None:
    answer = asked(
        shared,
        User_Agent="Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0",
        Accept="*/*",
        Accept_Language="en-US,en;q=0.5",
        Accept_Encoding="gzip, deflate",
        Origin="http://localhost:8080",
        Sec_WebSocket_Extensions="permessage-deflate",
        Connection="keep-alive, Upgrade",
        Sec_Fetch_Dest="empty",
        Sec_Fetch_Mode="websocket",
        Sec_Fetch_Site="same-site",
        Pragma="no-cache",
        Cache_Control="no-cache",
    )
    assert (answer.status, answer.headers["sec-websocket-accept"]) == (101, ACCEPT)


@pytest.mark.parametrize(
    ("path", "headers", "status", "code"),
    [
        (PATH, {"Upgrade": ""}, 426, "upgrade_required"),
        (PATH, {"Connection": "keep-alive"}, 426, "upgrade_required"),
        (PATH, {"Sec_WebSocket_Version": "8"}, 426, "upgrade_required"),
        (PATH, {"Sec_WebSocket_Version": ""}, 426, "upgrade_required"),
        (PATH, {"Sec_WebSocket_Key": ""}, 400, "header_invalid"),
        (PATH, {"Sec_WebSocket_Key": "short"}, 400, "header_invalid"),
        (PATH, {"Origin": "https://elsewhere.example"}, 403, "origin_not_allowed"),
        (PATH, {"Origin": "null"}, 403, "origin_not_allowed"),
        (PATH + "?format=%zz", {}, 400, "malformed_request"),
        (PATH + "?a=" + "x" * 8_192, {}, 414, "uri_too_long"),
        (PATH, {f"X-{n}": "1" for n in range(100)}, 431, "headers_too_large"),
        ("/connection/elsewhere", {}, 404, "route_not_found"),
        ("/", {}, 404, "route_not_found"),
    ],
    ids=lambda value: str(value)[:50],
)
def test_who_gets_no_socket_is_told_why(
    shared: Realtimes, path: str, headers: dict[str, str], status: int, code: str
) -> None:
    answer = asked(shared, path, **headers)
    problem = orjson.loads(answer.body)
    assert (answer.status, problem["status"], problem["code"]) == (status, status, code)
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.headers["request-id"] == problem["request_id"]
    assert problem["request_id"].startswith("req_")
    if status == 426:
        assert answer.headers["upgrade"] == "websocket"
        assert answer.headers["sec-websocket-version"] == "13"


@pytest.mark.parametrize(
    "raw",
    [
        request(PATH, {}, start="POST {} HTTP/1.1"),
        request(PATH, {}, start="HEAD {} HTTP/1.1"),
        request(PATH, {}, start="GET {} HTTP/1.0"),
        request(PATH, {}, start="GET {} HTTP/2.0"),
        request(PATH, {}, start="GET  {} HTTP/1.1"),
        request(PATH, {}, start="{}"),
        request(PATH, {"Content-Length": "5"}),
        request(PATH, {"Transfer-Encoding": "chunked"}),
        request(PATH, {"Bad Name": "1"}),
        request(PATH, {"X": "a\r\n folded"}),
        request(PATH, {"X": "nul\0"}),
        request(PATH, {f"X-{n}": "1" for n in range(200)}),
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n",
    ],
    ids=range(13),
)
def test_what_is_no_request_for_a_socket_is_refused_and_hung_up_on(shared: Realtimes, raw: bytes) -> None:
    # picows refuses these before it asks us; the edge gives the answer its problem document.
    with Peer(port_of(shared)) as peer:
        assert peer.ask(raw).status == 400
        assert not list(peer.rest())


def test_a_head_without_an_end_is_hung_up_on(shared: Realtimes) -> None:
    with Peer(port_of(shared)) as peer, pytest.raises(EOFError):
        peer.ask(request(PATH, {"X": "x" * 20_000}))


@pytest.mark.parametrize("sent", [request(PATH, {"X": "x" * 1_000}), b""], ids=["byte by byte", "nothing"])
def test_a_request_that_trickles_in_is_dropped_in_time(strict: Realtimes, sent: bytes) -> None:
    with Peer(port_of(strict)) as peer:
        began = time.monotonic()
        with contextlib.suppress(ConnectionError):
            for byte in sent:
                peer.send(bytes([byte]))
                time.sleep(0.02)
        with contextlib.suppress(ConnectionError):
            assert not list(peer.rest()), "it is not even told"
        assert 0.4 < time.monotonic() - began < 3


def test_one_address_opens_no_more_than_its_burst_and_another_is_not_concerned(strict: Realtimes) -> None:
    statuses = [asked(strict, X_Forwarded_For=ADDRESS).status for _ in range(4)]
    assert statuses == [101, 101, 101, 429]
    refused = asked(strict, X_Forwarded_For=ADDRESS)
    problem = orjson.loads(refused.body)
    assert (problem["code"], problem["violated-policies"]) == ("rate_limited", ["address"])
    assert int(refused.headers["retry-after"]) >= 1
    assert asked(strict, X_Forwarded_For=OTHER).status == 101


def test_one_address_holds_no_more_than_it_may_until_one_leaves(strict: Realtimes) -> None:
    address = "2001:db8:1:2::1"
    with Peer(port_of(strict)) as first, Peer(port_of(strict)) as second:
        assert first.upgrade(X_Forwarded_For=address).status == 101
        assert second.upgrade(X_Forwarded_For="2001:db8:1:2::2").status == 101
        refused = asked(strict, X_Forwarded_For=address)
        assert (refused.status, orjson.loads(refused.body)["code"]) == (429, "concurrency_limited")
        first.send(close(1000))
        list(first.rest())
        assert asked(strict, X_Forwarded_For=address).status == 101


def test_a_full_replica_takes_nobody_in(postgres: EmbeddedPostgres) -> None:
    with (
        fresh_database(postgres) as url,
        in_a_thread(url, drain_s=0.0, connections_max=1) as system,
        Peer(port_of(system)) as first,
    ):
        assert first.upgrade().status == 101
        refused = asked(system)
        assert (refused.status, orjson.loads(refused.body)["code"]) == (503, "capacity_reduced")
        assert refused.headers["retry-after"] == "1"


def test_headers_may_hold_any_bytes(shared: Realtimes) -> None:
    with Peer(port_of(shared)) as peer:
        raw = request(PATH, {"X-Name": "NAME", "Authorization": "Bearer NAME", "Cookie": "NAME"})
        assert peer.ask(raw.replace(b"NAME", b"caf\xe9 \xff")).status == 101


def test_no_log_holds_a_token_or_what_a_peer_did_wrong(
    shared: Realtimes, caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str]
) -> None:
    caplog.set_level(1, "picows.sockets")
    caplog.set_level(logging.DEBUG)
    for path in (PATH, "/connection/uni_websocket"):
        with Peer(port_of(shared)) as peer:
            query = f"?cf_connect=%7B%22token%22%3A%22{KEY}%22%7D&token={KEY}"
            peer.upgrade(path + query, Authorization=f"Bearer {KEY}")
            peer.send(frame(TEXT, b'{"id":1,"connect":{"token":"%b"}}' % KEY.encode(), rsv=1))
            peer.send(frame(0x3, KEY.encode()))
            list(peer.rest())
    asked(shared, f"/nowhere?token={KEY}", Authorization=KEY)
    told = caplog.text + "".join(capfd.readouterr())
    assert KEY not in told
    assert not [record for record in caplog.records if record.levelno >= logging.WARNING]
