"""Every key that is not taken over says why, and none that could let somebody in is passed over."""

from typing import Any

import pytest

from core.moving.keys import judge_the_rest
from core.moving.source import SAME, TAKEN, UNAVAILABLE, Source


@pytest.mark.parametrize(
    ("key", "value", "verdict", "why"),
    [
        ("engine.redis.address", "x", SAME, "PostgreSQL"),
        ("consumers", [], UNAVAILABLE, "publish over REST"),
        ("admin.enabled", True, UNAVAILABLE, "tidings status"),
        ("admin.enabled", False, SAME, "off"),
        ("client.ping_interval", "25s", SAME, "TIDINGS_REALTIME_PING_S"),
        ("client.ping_interval", "12s", UNAVAILABLE, "TIDINGS_REALTIME_PING_S"),
        ("client.ping_interval", 25_000_000_000, UNAVAILABLE, "TIDINGS_REALTIME_PING_S"),
        ("client.ping_interval", "often", UNAVAILABLE, "TIDINGS_REALTIME_PING_S"),
        ("client.queue_max_size", 1_048_576, SAME, "TIDINGS_REALTIME_OUTBOX_BYTES_MAX"),
        ("sse.handler_prefix", "/connection/sse", SAME, "/connection/sse"),
        ("sse.handler_prefix", "/events", UNAVAILABLE, "/connection/sse"),
        ("channel.private_prefix", "$", SAME, "the same way"),
        ("channel.namespaces.x.map.mode", "a", UNAVAILABLE, "no maps"),
        ("channel.namespaces.x.presense", True, UNAVAILABLE, "spelled"),
        ("proxies.x.endpoint", "http://b", SAME, "not in use"),
        ("bogus", 1, UNAVAILABLE, "spelled"),
        ("user_block.enabled", False, SAME, "off"),
        ("channel.namespaces.x.subscribe_cel", "a", UNAVAILABLE, "PRO"),
        ("channel.namespaces", [], SAME, "none"),
    ],
)
def test_a_key_says_what_became_of_it(key: str, value: Any, verdict: str, why: str) -> None:
    source = Source({key: value})
    judge_the_rest(source)
    assert source.rows[key].verdict == verdict
    assert why in source.rows[key].why
    assert not source.refusals


def test_names_read_by_other_marks_stand_against_the_move() -> None:
    source = Source({"channel.private_prefix": "%"})
    judge_the_rest(source)
    assert source.refusals == ["channel.private_prefix: names are read by '$' alone"]


@pytest.mark.parametrize("kind", ["token_revoke", "user_block", "user_tokens_invalidate"])
def test_who_is_kept_out_there_must_not_come_in_by_moving(kind: str) -> None:
    source = Source({f"{kind}.enabled": True, f"{kind}.storage_type": "redis"})
    judge_the_rest(source)
    (sentence,) = source.refusals
    assert sentence.startswith(f"{kind}.enabled: whom it keeps out would come in here")


@pytest.mark.parametrize(("value", "stands_against"), [(True, True), ("true", True), (False, False)])
def test_patterns_of_channels_stand_against_the_move_where_they_are_on(
    value: Any, *, stands_against: bool
) -> None:
    source = Source({"channel.patterns": value})
    judge_the_rest(source)
    assert bool(source.refusals) is stands_against


def test_a_list_of_what_has_no_name_stands_against_the_move() -> None:
    source = Source({"consumers": [{}]})
    judge_the_rest(source)
    assert source.refusals == ["consumers: must be a list of objects, each with a name"]


@pytest.mark.parametrize(
    "key", ["Channel_Private_Prefix", "Channel.private_prefix", "channel.Private_prefix"]
)
def test_a_key_in_capitals_is_not_passed_over(key: str) -> None:
    source = Source({key: "@"})
    judge_the_rest(source)
    assert source.refusals[0].startswith(f"{key}: capitals count there")


@pytest.mark.parametrize("key", ["CENTRIFUGO_BOGUS", "channel.namespaces.Chat.bogus"])
def test_names_and_variables_may_have_capitals(key: str) -> None:
    source = Source({key: "@"})
    judge_the_rest(source)
    assert not source.refusals
    assert source.rows[key].verdict == UNAVAILABLE


def test_what_was_read_keeps_its_row() -> None:
    source = Source({"engine.type": "redis"})
    source.text("engine.type")
    judge_the_rest(source)
    assert source.rows["engine.type"].verdict == TAKEN
