"""Namespaces: which options hold for a channel, and which names and options there can be."""

from dataclasses import FrozenInstanceError, replace
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.channels.namespace import (
    OF_SYSTEM,
    OWN,
    ChannelRules,
    ClientOptions,
    Options,
    PersonalChannel,
    faults_of,
    fits_name,
    stored_client_options,
    stored_options,
)

TYPES = frozenset({"room"})
CHAT, CLOSED = Options(presence=True), Options()
RULES = ChannelRules(CLOSED, {"chat": CHAT, "room": CHAT}, "refuse")


def test_options_are_off_when_absent() -> None:
    assert not any(
        value for value in msgspec.structs.asdict(CLOSED).values() if value not in ("off", "stream")
    )
    assert (CLOSED.history, CLOSED.force_recovery_mode) == ("off", "stream")


@pytest.mark.parametrize(
    ("channel", "options"),
    [
        ("lobby", CLOSED),
        ("$lobby", CLOSED),
        (":1", CLOSED),
        ("chat:1", CHAT),
        ("$chat:1", CHAT),
        ("room:1", CHAT),
        ("message:1", OWN),
        ("other:1", None),
        ("Chat:1", None),
        ("tidings:occupancy", OF_SYSTEM),
        ("$tidings:x", OF_SYSTEM),
        ("tidings", CLOSED),
    ],
)
def test_a_channel_has_the_options_of_its_namespace(channel: str, options: Options | None) -> None:
    assert RULES.options_of(channel, {"room", "message"}) is options


def test_where_nothing_is_configured_our_own_options_hold() -> None:
    for channel in ("lobby", "room:1", "other:1"):
        assert ChannelRules().options_of(channel, {"room"}) is OWN


def test_rules_cannot_be_changed_by_who_was_handed_them() -> None:
    with pytest.raises(FrozenInstanceError):
        RULES.without = OWN  # type: ignore[misc]  # the point of the test
    with pytest.raises(AttributeError):
        OWN.presence = True  # type: ignore[misc]  # the point of the test


def _rules(**options: Any) -> ChannelRules:
    return ChannelRules(clients=ClientOptions(user_personal_channel=PersonalChannel(**options)))


def test_a_user_has_a_personal_channel_where_that_is_on() -> None:
    assert _rules(enabled=True).personal_channel("ann", TYPES) == "#ann"
    assert _rules(enabled=True, namespace="users").personal_channel("ann", TYPES) == "users:#ann"


def test_nobody_and_a_user_whose_id_fits_no_name_have_no_personal_channel() -> None:
    assert _rules(namespace="users").personal_channel("ann", TYPES) == ""
    for user in ("", "a" * 255, "\u00e4nn"):
        assert _rules(enabled=True).personal_channel(user, TYPES) == ""


def test_where_the_namespace_has_its_own_rule_of_names_an_id_may_be_no_ascii() -> None:
    rules = _rules(enabled=True, namespace="users")
    rules = replace(rules, namespaces={"users": Options(channel_regex="^#[a-z\u00e4]+$")}, unknown="refuse")
    assert rules.personal_channel("\u00e4nn", TYPES) == "users:#\u00e4nn"
    assert rules.personal_channel("\u00f6nn", TYPES) == ""
    assert replace(rules, namespaces={}).personal_channel("\u00e4nn", TYPES) == ""


def _fits(channel: str, *, characters_max: int = 255, **options: Any) -> bool:
    rules = ChannelRules(clients=ClientOptions(channel_characters_max=characters_max))
    return fits_name(rules, Options(**options), channel)


def test_names_are_printable_ascii_of_limited_length() -> None:
    assert _fits("a" * 255)
    assert _fits("a" * 4, characters_max=4)
    for channel, most in (("", 255), ("a" * 256, 300 - 45), ("a" * 5, 4), ("r\u00f6m", 255), ("\ud800", 255)):
        assert not _fits(channel, characters_max=most)


def test_an_expression_judges_what_stands_behind_the_namespace() -> None:
    assert _fits("room:42", channel_regex="^[0-9]+$")
    assert _fits("a:b:42", channel_regex="^b:")
    assert _fits("$lobby", channel_regex=r"^\$lobby$")
    assert _fits("room:abc", channel_regex="b")
    assert not _fits("room:x", channel_regex="^[0-9]+$")
    assert not _fits("room:42\n", channel_regex="^[0-9]+$")


def test_with_an_expression_a_name_may_leave_ascii_but_has_no_control_characters() -> None:
    assert _fits("r\u00f6m", channel_regex=".")
    assert not _fits("r\u00f6m", characters_max=3, channel_regex=".")  # four bytes
    for channel in ("a\n", "a\x00", "a\x7f", "a\x9f", "\ud800", ""):
        assert not _fits(channel, channel_regex="")
        assert not _fits(channel, channel_regex=".?")


@pytest.mark.timeout(5)
def test_no_expression_takes_longer_than_its_name_is_long() -> None:
    assert not _fits("a" * 254 + "!", channel_regex="^(a+)+$")
    assert not _fits("a" * 254 + "!", channel_regex="^(a|a)*$")


def test_a_window_needs_a_size_and_a_time() -> None:
    assert faults_of(Options(history="window", history_size=10, history_ttl_s=60)) == []
    faults = faults_of(Options(history="window", history_ttl_s=60))
    assert [fault[:2] for fault in faults] == [("#/history_size", "too_small")]
    assert [fault[0] for fault in faults_of(Options(history="window"))] == [
        "#/history_size",
        "#/history_ttl_s",
    ]


@pytest.mark.parametrize("regex", ["(", "(?=a)b", r"(a)\1", "a{1000}{1000}", "[" * 1_000])
def test_what_is_no_expression_or_a_costly_one_is_refused(regex: str) -> None:
    assert [fault[:2] for fault in faults_of(Options(channel_regex=regex))] == [
        ("#/channel_regex", "pattern")
    ]


def test_occupancy_needs_presence() -> None:
    assert faults_of(Options(occupancy=True, presence=True)) == []
    assert [fault[:2] for fault in faults_of(Options(occupancy=True))] == [("#/occupancy", "not_allowed")]


def test_the_systems_channels_can_not_be_configured() -> None:
    rules = ChannelRules(without=CHAT, namespaces={"tidings": CHAT}, unknown="refuse")
    assert rules.options_of("tidings:occupancy", {"tidings"}) is OF_SYSTEM


def test_our_own_options_have_no_fault() -> None:
    assert faults_of(OWN) == faults_of(OF_SYSTEM) == []


def test_options_come_back_as_they_were_stored() -> None:
    assert stored_options(msgspec.to_builtins(OWN)) == OWN
    clients = ClientOptions(user_personal_channel=PersonalChannel(enabled=True), channels_max=7)
    assert stored_client_options(msgspec.to_builtins(clients)) == clients
    assert stored_client_options({}) == ClientOptions()


def test_what_only_a_newer_release_knows_is_left_out() -> None:
    assert stored_options({"presence": True, "telepathy": True}) == Options(presence=True)


@given(st.text(max_size=300), st.sampled_from(["", "^a", "[^:]*"]))
def test_a_name_that_fits_has_text_of_limited_length(channel: str, regex: str) -> None:
    if _fits(channel, channel_regex=regex):
        assert 0 < len(channel.encode()) <= 255
        assert channel.isprintable() or regex
