"""What becomes of publishes, reads and questions: done, or refused in the order of checks (§4 and §11)."""

from dataclasses import replace
from typing import Any

import pytest
from msgspec import structs

from core.auth.principal import Principal
from core.channels.namespace import OWN, Options
from core.connections.effects import Close, Read, See, Send, Write
from core.connections.frames import History, Presence, PresenceStats, Publish, Unserved
from core.connections.requests import Request, effect_of, refusal_of_unserved, refused
from core.errors import Code
from core.streams.position import Position
from tests.helpers.connections import ANN, ANONYMOUS, KEY, ORGANIZATION, A, asking, error, ruled

INSECURE = replace(ORGANIZATION, client_insecure=True)
PUBLISH = Publish(4, "open:a", b"1")


def of(
    command: Request,
    options: Options | None = None,
    principal: Principal = ANN,
    *,
    is_subscribed: bool = False,
    is_json: bool = True,
    insecure: bool = False,
) -> Write | Read | See | Send:
    """Return what becomes of a command, with these options for the namespace `some`."""
    namespaces = dict(ORGANIZATION.channels.namespaces)
    if options is not None:
        namespaces["some"] = options
    organization = ruled(INSECURE if insecure else ORGANIZATION, namespaces=namespaces)
    return effect_of(
        asking(principal, organization), command, is_subscribed=is_subscribed, is_json_given=is_json
    )


def publish(data: bytes = b"1", channel: str = "some:a", key: str = "") -> Publish:
    return Publish(4, channel, data, key)


def test_a_refusal_has_the_code_that_the_registry_gives_it() -> None:
    assert refused(7, Code.NOT_AVAILABLE) == error(7, 108)


@pytest.mark.parametrize(("method", "code"), [("map", 103), ("map_publish", 108), ("shared_poll", 108)])
def test_what_is_not_served_is_refused(method: str, code: int) -> None:
    assert refusal_of_unserved(Unserved(6, method, A)) == error(6, code)


def test_a_ping_of_a_client_ends_the_connection() -> None:
    assert refusal_of_unserved(Unserved(6, "ping")) == Close(3501)


# --- publish


def test_a_publish_is_written_where_it_is_allowed() -> None:
    assert of(PUBLISH) == Write(PUBLISH)
    assert of(Publish(4, "room:a", b"{}")) == Write(Publish(4, "room:a", b"{}"))


@pytest.mark.parametrize(
    ("command", "code"),
    [
        (Publish(4, "unknown:a", b""), 102),
        (Publish(4, "closed:\u00f6", b"1"), 107),
        (Publish(4, "closed:a", b""), 107),
        (Publish(4, "closed:a", b"1"), 103),
        (Publish(4, "open:a", b"1", "a\0b"), 107),
        (Publish(4, "closed:a", b"1", "a b"), 107),
        (Publish(4, "open:a", b"1", "k" * 256), 107),
    ],
)
def test_a_publish_is_refused_in_the_order_of_checks(command: Publish, code: int) -> None:
    assert of(command) == error(4, code)


def test_null_is_data_and_a_key_of_visible_characters_is_a_key() -> None:
    for command in (publish(b"null", "open:a"), publish(b"1", "open:a", "order-1")):
        assert of(command) == Write(command)


def test_a_subscriber_may_publish_where_subscribers_may() -> None:
    options, command = Options(allow_publish_for_subscriber=True), publish()
    assert of(command, options) == error(4, 103)
    assert of(command, options, is_subscribed=True) == Write(command)


def test_an_anonymous_client_publishes_where_those_without_a_name_may() -> None:
    command = publish()
    assert of(command, Options(allow_publish_for_client=True), ANONYMOUS) == error(4, 103)
    everybody = Options(allow_publish_for_client=True, allow_publish_for_anonymous=True)
    assert of(command, everybody, ANONYMOUS) == Write(command)


def test_a_key_publishes_by_its_scope_alone() -> None:
    command, scoped = publish(), replace(KEY, scopes=frozenset({"channels:write"}))
    assert of(command, Options(), scoped) == Write(command)
    assert of(command, Options(), replace(KEY, scopes=frozenset({"channels:read"}))) == error(4, 103)


def test_the_backend_decides_about_publishes_where_it_is_asked_and_not_about_bad_ones() -> None:
    options, command = Options(publish_proxy=True, publication_data_format="json"), publish()
    assert of(command, options) == Write(command, ask_backend=True)
    assert of(publish(b"\0"), options, is_json=False) == error(4, 107)
    assert of(command, replace_options(options, allow_publish_for_client=True)) == Write(
        command, ask_backend=True
    )
    assert of(command, options, KEY) == Write(command)


def replace_options(options: Options, **changes: Any) -> Options:
    return Options(**{**{name: getattr(options, name) for name in options.__struct_fields__}, **changes})


def test_with_everything_allowed_a_publish_needs_no_permission_but_a_known_channel_and_good_data() -> None:
    command = publish()
    assert of(command, Options(), insecure=True) == Write(command)
    assert of(publish(b""), Options(), insecure=True) == error(4, 107)
    assert of(Publish(4, "unknown:a", b"1"), insecure=True) == error(4, 102)


@pytest.mark.parametrize(
    ("data_format", "good", "bad"),
    [
        ("", [b"1", b"\0", b"{"], [b""]),
        ("json", [b"1", b"null", b" {}"], [b"", b"{", b"\0"]),
        ("json_object", [b"{}", b' {"a":1}'], [b"", b"1", b"[]", b"{"]),
        ("binary", [b"", b"\0", b"1"], []),
    ],
)
def test_the_format_of_a_namespace_says_what_may_be_published(
    data_format: Any, good: list[bytes], bad: list[bytes]
) -> None:
    options = Options(allow_publish_for_client=True, publication_data_format=data_format)
    assert all(isinstance(of(publish(data), options, is_json=False), Write) for data in good)
    assert [of(publish(data), options, is_json=False) for data in bad] == [error(4, 107)] * len(bad)


@pytest.mark.parametrize("data_format", ["", "binary"])
def test_data_that_is_not_json_is_marked_where_clients_can_bring_it(data_format: Any) -> None:
    options = Options(allow_publish_for_client=True, publication_data_format=data_format)
    opaque, plain = publish(b"\xff"), publish(b"[1]")
    assert of(opaque, options, is_json=False) == Write(opaque, is_opaque=True)
    assert of(plain, options, is_json=False) == Write(plain)
    assert of(plain, options) == Write(plain)


def test_no_data_at_all_is_no_json_either_whoever_brings_it() -> None:
    """A client of JSON broke the pushes of all others, whose line had nothing where the data stands."""
    options = Options(allow_publish_for_client=True, publication_data_format="binary")
    nothing = publish(b"")
    for kind in (True, False):
        assert of(nothing, options, is_json=kind) == Write(nothing, is_opaque=True)


def test_publications_of_an_ephemeral_namespace_are_not_stored() -> None:
    command = publish()
    options = Options(allow_publish_for_client=True, ephemeral=True)
    assert of(command, options) == Write(command, is_ephemeral=True)


# --- history


def history(**asked: Any) -> History:
    return History(5, "some:a", 10, **asked)


def test_history_is_read_where_there_is_one_and_it_is_allowed() -> None:
    command = history()
    assert of(History(5, "unknown:a")) == error(5, 102)
    assert of(History(5, "closed:\u00f6")) == error(5, 107)
    assert of(command, Options(allow_history_for_client=True)) == error(5, 108)
    assert of(command, Options(history="whole")) == error(5, 103)
    assert of(command, Options(history="whole", allow_history_for_client=True)) == Read(command)
    assert of(command, Options(history="whole"), KEY) == Read(command)
    assert of(command, Options(history="whole"), insecure=True) == Read(command)
    assert of(command, insecure=True, options=Options()) == error(5, 108)


def test_a_subscriber_may_read_the_history_where_subscribers_may() -> None:
    command, options = history(), Options(history="whole", allow_history_for_subscriber=True)
    assert of(command, options) == error(5, 103)
    assert of(command, options, is_subscribed=True) == Read(command)


def test_a_history_is_read_in_both_directions_but_not_back_from_the_beginning() -> None:
    for since in (None, Position("e", 1)):
        for reverse in (False, True):
            command = history(since=since, reverse=reverse)
            assert of(command, OWN) == Read(command)
    first = Position("", 0)
    assert of(history(since=first), OWN) == Read(history(since=first))
    assert of(history(since=first, reverse=True), OWN) == error(5, 107)
    assert of(history(since=first, reverse=True), Options(history="whole")) == error(5, 103)


# --- presence


@pytest.mark.parametrize("command", [Presence(6, "some:a"), PresenceStats(6, "some:a")])
def test_presence_is_shown_where_it_is_kept_and_seen_without_a_subscription(command: Request) -> None:
    everybody = Options(presence=True, allow_presence_for_client=True)
    assert of(structs.replace(command, channel="unknown:a")) == error(6, 102)
    assert of(command, Options(allow_presence_for_client=True)) == error(6, 108)
    assert of(command, Options()) == error(6, 108)
    assert of(command, Options(presence=True)) == error(6, 103)
    assert of(command, everybody) == See(command)
    assert of(command, everybody, ANONYMOUS) == error(6, 103)
    assert of(command, Options(presence=True), KEY) == See(command)
    assert of(command, Options(presence=True), insecure=True) == See(command)


@pytest.mark.parametrize("command", [Presence(6, "some:a"), PresenceStats(6, "some:a")])
def test_a_subscriber_may_see_presence_where_subscribers_may(command: Request) -> None:
    options = Options(presence=True, allow_presence_for_subscriber=True)
    assert of(command, options) == error(6, 103)
    assert of(command, options, is_subscribed=True) == See(command)
