"""Options of a namespace keep their meaning; what they don't name is off."""

from typing import Any

import pytest

from core.channels.namespace import Options
from core.moving.options import NAMES, options_of
from core.moving.source import SAME, TAKEN, UNAVAILABLE, Source

AT = "channel.namespaces.chat"


def source_with(**options: Any) -> Source:
    return Source({f"{AT}.{name}": value for name, value in options.items()})


def test_an_empty_namespace_has_everything_off() -> None:
    assert options_of(source_with(), AT, "") == Options()


def test_every_option_known_here_is_taken_over() -> None:
    unlike = {"force_recovery_mode", "history_size", "allowed_delta_types", "publication_data_format"}
    known = set(NAMES) & set(Options.__struct_fields__) - unlike - {"channel_regex"}
    flags: dict[str, Any] = dict.fromkeys(sorted(known), True)
    others: dict[str, Any] = {
        "force_recovery_mode": "cache",
        "allowed_delta_types": ("fossil",),
        "publication_data_format": "json_object",
        "channel_regex": "^a+$",
    }
    source = source_with(
        **flags,
        **{**others, "allowed_delta_types": ["fossil"]},
        history_size=10,
        history_ttl="5m",
        subscribe_proxy_enabled=True,
        publish_proxy_enabled=True,
    )
    assert options_of(source, AT, "") == Options(
        **flags,
        **others,
        history="window",
        history_size=10,
        history_ttl_s=300,
        subscribe_proxy=True,
        publish_proxy=True,
    )
    assert {row.verdict for row in source.rows.values()} == {TAKEN}
    assert set(source.rows) == set(source.values)


@pytest.mark.parametrize(
    "half", [{"history_size": 10}, {"history_ttl": "5m"}, {"history_size": 1, "history_ttl": "0s"}]
)
def test_history_needs_both_its_size_and_its_time(half: dict[str, Any]) -> None:
    assert options_of(source_with(**half), AT, "").history == "off"


def test_a_format_of_all_channels_holds_where_a_namespace_names_none() -> None:
    assert options_of(source_with(), AT, "json").publication_data_format == "json"
    assert (
        options_of(source_with(publication_data_format="binary"), AT, "json").publication_data_format
        == "binary"
    )


@pytest.mark.parametrize(("value", "verdict"), [(True, UNAVAILABLE), (False, SAME)])
def test_a_proxy_that_prolongs_is_named_where_it_is_on(*, value: bool, verdict: str) -> None:
    source = source_with(sub_refresh_proxy_enabled=value, sub_refresh_proxy_name="p")
    options_of(source, AT, "")
    for name in ("enabled", "name"):
        assert source.rows[f"{AT}.sub_refresh_proxy_{name}"].verdict == verdict
    assert not source.refusals


def test_a_stream_that_would_keep_somebody_out_stands_against_the_move() -> None:
    off = source_with(subscribe_stream_proxy_enabled=False, subscribe_stream_proxy_bidirectional=True)
    options_of(off, AT, "")
    assert not off.refusals
    assert {row.verdict for row in off.rows.values()} == {SAME}
    on = source_with(subscribe_stream_proxy_enabled=True)
    options_of(on, AT, "")
    assert on.refusals[0].startswith(f"{AT}.subscribe_stream_proxy_enabled: a backend is asked")
    older = source_with(subscribe_stream_proxy_name="p")
    older.older.add(f"{AT}.subscribe_stream_proxy_name")
    options_of(older, AT, "")
    assert older.refusals[0].startswith(f"{AT}.subscribe_stream_proxy_name: ")


def test_before_version_6_the_name_of_a_proxy_turned_it_on() -> None:
    source = source_with(subscribe_proxy_name="p", publish_proxy_name="p")
    assert options_of(source, AT, "").subscribe_proxy is False
    assert source.rows[f"{AT}.subscribe_proxy_name"].verdict == SAME
    source.older = set(source.values)
    options = options_of(source, AT, "")
    assert (options.subscribe_proxy, options.publish_proxy) == (True, True)
    assert source.rows[f"{AT}.subscribe_proxy_name"].verdict == TAKEN


def test_how_long_positions_are_kept_needs_no_setting() -> None:
    source = source_with(history_meta_ttl="720h")
    options_of(source, AT, "")
    assert source.rows[f"{AT}.history_meta_ttl"].verdict == SAME


@pytest.mark.parametrize(("kind", "verdict"), [("stream", TAKEN), ("map", UNAVAILABLE)])
def test_only_streams_are_known_here(kind: str, verdict: str) -> None:
    source = source_with(subscription_type=kind)
    options_of(source, AT, "")
    assert source.rows[f"{AT}.subscription_type"].verdict == verdict


@pytest.mark.parametrize(
    ("option", "value"),
    [
        ("force_recovery_mode", "guess"),
        ("publication_data_format", "xml"),
        ("channel_regex", "a" * 5000),
        ("allowed_delta_types", ["vcdiff"]),
    ],
)
def test_a_value_that_no_option_can_have_stands_against_the_move(option: str, value: Any) -> None:
    source = source_with(**{option: value})
    assert options_of(source, AT, "") == Options()
    assert source.refusals[0].startswith(f"{AT}.{option}: ")


def test_an_expression_that_is_none_stands_against_the_move() -> None:
    source = source_with(channel_regex="(")
    assert options_of(source, AT, "").channel_regex == "("
    (refusal,) = source.refusals
    assert refusal.startswith(f"{AT}.channel_regex: No regular expression, or one that takes too much memory")
