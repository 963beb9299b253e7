"""What is kept of the request that opened a connection: no credential, and no header that nobody reads."""

from dataclasses import replace

from gateway.realtime.opening import Opening

OPENING = Opening(
    "http_stream",
    authorization="Bearer secret",
    headers={"cookie": "session=1", "origin": "https://example.com"},
    address="192.0.2.7",
    has_session=True,
    has_close_frame=False,
)


def test_without_the_request_alike_ones_are_equal_and_may_be_shared() -> None:
    other = replace(OPENING, authorization=None, headers={"cookie": "session=2"}, address="192.0.2.8")
    assert OPENING.without_request() == other.without_request()
    kept = OPENING.without_request()
    assert (kept.authorization, kept.headers, kept.address, kept.emulated) == (None, {}, "", {})
    assert (kept.transport, kept.has_session, kept.has_close_frame) == ("http_stream", True, False)


def test_only_headers_that_somebody_reads_are_kept_and_the_clients_own_stay_apart() -> None:
    written = {"Authorization": "made up", "X-Other": "1", "Cookie": "session=3"}
    kept = OPENING.with_headers({"cookie"}, written, {"authorization", "cookie"})
    assert kept.headers == {"cookie": "session=1"}
    assert kept.emulated == {"Authorization": "made up", "Cookie": "session=3"}
    assert kept.authorization is None
    assert kept.address == "192.0.2.7"


def test_no_credential_is_ever_shown() -> None:
    shown = repr(OPENING) + repr(replace(OPENING, emulated={"authorization": "secret"}))
    assert "secret" not in shown
    assert "session=1" not in shown
