"""Who may subscribe to, publish to and read a channel, as one table."""

from dataclasses import replace
from typing import Any, Final

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace as replace_options

from core.auth.access import (
    may_recover,
    may_see_who_comes,
    refusal_of_data,
    refusal_to_acknowledge,
    refusal_to_connect,
    refusal_to_publish,
    refusal_to_read_history,
    refusal_to_read_log,
    refusal_to_see_presence,
    refusal_to_subscribe,
)
from core.auth.principal import Organization, Principal
from core.auth.scopes import ALL
from core.channels.namespace import OWN, ChannelRules, ClientOptions, Options
from core.errors import Code

STRICT: Final = Organization(
    organization_id=bytes(16),
    name="Acme",
    environment="test",
    status="active",
    client_publish=False,
    anonymous=True,
    client_insecure=False,
    token_secret=b"secret",
    channels=ChannelRules(unknown="refuse"),
)
PLAIN = replace(STRICT, channels=ChannelRules())
PUBLISHING = replace(PLAIN, client_publish=True)
INSECURE = replace(PLAIN, client_insecure=True)

KNOWN = frozenset({"room"})
READER = Principal(STRICT.organization_id, "key", "key_1", frozenset({"channels:read"}))
WRITER = Principal(STRICT.organization_id, "key", "key_2", frozenset({"channels:write"}))
OTHER = Principal(STRICT.organization_id, "key", "key_3", ALL - {"channels:write"})
USER = Principal(STRICT.organization_id, "user", "ann")
SCOPED_USER = Principal(STRICT.organization_id, "user", "bob", ALL)
NOBODY = Principal(STRICT.organization_id, "anonymous", "")

CHANNELS = ("room:1", "$room:1", "room:1#ann", "$room:1#ann")
MAY: Final[dict[str, tuple[Principal, Organization, str, str]]] = {
    # who: in which organization, may read, and write, of CHANNELS (x: may)
    "a key that reads": (READER, PLAIN, "xxxx", "...."),
    "a key that writes": (WRITER, PLAIN, "xxxx", "xxxx"),
    "a key of other areas": (OTHER, PLAIN, "....", "...."),
    "a key that reads, insecure": (READER, INSECURE, "xxxx", "...."),
    "a key of other areas, insecure": (OTHER, INSECURE, "....", "...."),
    "a key of other areas, publishing": (OTHER, PUBLISHING, "....", "...."),
    "a user": (USER, PLAIN, "x...", "...."),
    "a user, publishing": (USER, PUBLISHING, "x...", "x..."),
    "a user, insecure": (USER, INSECURE, "x.x.", "x.x."),
    "a user with scopes": (SCOPED_USER, PLAIN, "x...", "...."),
    "nobody": (NOBODY, PLAIN, "x...", "...."),
    "nobody, publishing": (NOBODY, PUBLISHING, "x...", "...."),
    "nobody, insecure": (NOBODY, INSECURE, "x.x.", "x.x."),
}
EVERYBODY = [READER, WRITER, OTHER, USER, SCOPED_USER, NOBODY]
ASKED = [
    refusal_to_subscribe,
    refusal_to_publish,
    refusal_to_read_history,
    refusal_to_read_log,
    refusal_to_see_presence,
    refusal_to_acknowledge,
]


@pytest.mark.parametrize(
    ("principal", "organization", "reads", "writes"),
    MAY.values(),
    ids=[name.replace(" ", "-") for name in MAY],
)
def test_the_table_of_access_where_nothing_is_configured(
    principal: Principal, organization: Organization, reads: str, writes: str
) -> None:
    def shown(ask: Any) -> str:
        refusals = [ask(principal, organization, channel, KNOWN) for channel in CHANNELS]
        assert set(refusals) <= {None, Code.PERMISSION_DENIED}
        return "".join("x" if refusal is None else "." for refusal in refusals)

    assert shown(refusal_to_subscribe) == reads
    assert shown(refusal_to_read_history) == reads
    assert shown(refusal_to_publish) == writes


@pytest.mark.parametrize("ask", ASKED)
@pytest.mark.parametrize("principal", EVERYBODY, ids=lambda principal: str(principal.id or "nobody"))
def test_a_bad_name_and_an_unknown_namespace_are_told_to_whomever(ask: Any, principal: Principal) -> None:
    for channel in ("", "r\u00f6m", "room:1\n", "a" * 256):
        assert ask(principal, STRICT, channel, KNOWN) is Code.VALIDATION_FAILED
        assert ask(principal, INSECURE, channel, KNOWN) is Code.VALIDATION_FAILED
    for channel in ("nothing:1", "$nothing:1", "Room:1", "nothing:\u00f6"):
        assert ask(principal, STRICT, channel, KNOWN) is Code.UNKNOWN_CHANNEL


@pytest.mark.parametrize("ask", ASKED[:4])
@pytest.mark.parametrize("channel", ["room:1", "$room:1", "room:", "lobby", "$lobby", ":1"])
def test_known_namespaces_and_channels_without_one_are_never_unknown(ask: Any, channel: str) -> None:
    assert ask(WRITER, STRICT, channel, KNOWN) is None


@given(
    st.sampled_from(ASKED),
    st.sampled_from([NOBODY, USER]),
    st.sampled_from([STRICT, PLAIN, PUBLISHING, INSECURE]),
    st.text("ab:#$", max_size=6),
)
def test_whoever_connects_without_a_key_never_enters_a_private_channel(
    ask: Any, principal: Principal, organization: Organization, name: str
) -> None:
    assert ask(principal, organization, "$" + name, KNOWN) is not None


# Where a namespace has options: nothing holds but what they say.

ALICE = Principal(STRICT.organization_id, "user", "alice")
UNNAMED = Principal(STRICT.organization_id, "user", "")
DENIED, OFF = Code.PERMISSION_DENIED, Code.NOT_AVAILABLE


def _organization(*, insecure: bool = False, **options: Any) -> Organization:
    rules = ChannelRules(namespaces={"room": Options(**options)})
    return replace(STRICT, client_insecure=insecure, client_publish=True, channels=rules)


def _options(organization: Organization) -> Options:
    return organization.channels.namespaces["room"]


def test_with_options_that_allow_nothing_no_user_may_do_anything() -> None:
    closed = _organization()
    for principal in (USER, NOBODY, SCOPED_USER):
        assert refusal_to_subscribe(principal, closed, "room:1", KNOWN) is DENIED
        assert refusal_to_publish(principal, closed, "room:1", KNOWN, is_subscribed=True) is DENIED
        assert refusal_to_read_log(principal, closed, "room:1", KNOWN) is (
            None if principal is SCOPED_USER else DENIED
        )


def test_a_key_is_judged_by_its_scopes_whatever_the_options_allow() -> None:
    closed = _organization(history="whole", presence=True)
    for ask in (refusal_to_subscribe, refusal_to_read_history, refusal_to_read_log, refusal_to_see_presence):
        assert ask(READER, closed, "room:1", KNOWN) is None
        assert ask(OTHER, closed, "room:1", KNOWN) is DENIED
    assert refusal_to_publish(WRITER, closed, "room:1", KNOWN) is None
    assert refusal_to_publish(READER, closed, "room:1", KNOWN) is DENIED


def test_clients_may_subscribe_where_that_is_allowed_and_those_without_a_name_where_it_says_so_too() -> None:
    clients = _organization(allow_subscribe_for_client=True)
    assert refusal_to_subscribe(USER, clients, "room:1", KNOWN) is None
    assert refusal_to_subscribe(NOBODY, clients, "room:1", KNOWN) is DENIED
    assert refusal_to_subscribe(UNNAMED, clients, "room:1", KNOWN) is DENIED
    everybody = _organization(allow_subscribe_for_client=True, allow_subscribe_for_anonymous=True)
    assert refusal_to_subscribe(NOBODY, everybody, "room:1", KNOWN) is None
    alone = _organization(allow_subscribe_for_anonymous=True)
    assert refusal_to_subscribe(NOBODY, alone, "room:1", KNOWN) is DENIED


def test_a_verified_token_opens_any_channel_that_exists() -> None:
    closed = _organization()
    for channel in ("room:1", "$room:1", "room:1#ann"):
        assert refusal_to_subscribe(USER, closed, channel, KNOWN, has_token=True) is None
    strict = replace(closed, channels=replace(closed.channels, unknown="refuse"))
    assert refusal_to_subscribe(USER, strict, "nothing:1", KNOWN, has_token=True) is Code.UNKNOWN_CHANNEL


def test_a_private_channel_opens_to_a_token_alone() -> None:
    for insecure in (False, True):
        organization = _organization(
            insecure=insecure, allow_subscribe_for_client=True, allow_user_limited_channels=True
        )
        assert refusal_to_subscribe(USER, organization, "$room:1", KNOWN) is DENIED
        assert refusal_to_subscribe(USER, organization, "$room:1#ann", KNOWN) is DENIED


def test_where_users_are_listed_only_they_may_come() -> None:
    limited = _organization(allow_user_limited_channels=True, allow_subscribe_for_client=True)
    assert refusal_to_subscribe(USER, limited, "room:1#bob,ann", KNOWN) is None
    assert refusal_to_subscribe(ALICE, limited, "room:1#bob,ann", KNOWN) is DENIED
    assert refusal_to_subscribe(UNNAMED, limited, "room:1#", KNOWN) is DENIED
    only_listed = _organization(allow_user_limited_channels=True)
    assert refusal_to_subscribe(USER, only_listed, "room:1#ann", KNOWN) is None
    assert refusal_to_subscribe(USER, only_listed, "room:1", KNOWN) is DENIED


def test_where_a_namespace_knows_no_lists_a_boundary_is_a_character_unless_it_is_guarded() -> None:
    assert (
        refusal_to_subscribe(USER, _organization(allow_subscribe_for_client=True), "room:1#bob", KNOWN)
        is None
    )
    guarded = _organization(allow_subscribe_for_client=True, guard_private=True)
    assert refusal_to_subscribe(USER, guarded, "room:1#ann", KNOWN) is DENIED


def test_insecure_clients_may_do_everything_that_is_on() -> None:
    insecure = _organization(insecure=True, history="whole", presence=True, allow_user_limited_channels=True)
    for principal in (USER, NOBODY):
        assert refusal_to_subscribe(principal, insecure, "room:1#bob", KNOWN) is None
        for ask in (refusal_to_publish, refusal_to_read_history, refusal_to_see_presence):
            assert ask(principal, insecure, "$room:1", KNOWN) is None
    off = _organization(insecure=True)
    assert refusal_to_read_history(USER, off, "room:1", KNOWN) is OFF
    assert refusal_to_see_presence(USER, off, "room:1", KNOWN) is OFF


FEATURES: Final[dict[str, tuple[Any, dict[str, Any]]]] = {
    "publish": (refusal_to_publish, {}),
    "history": (refusal_to_read_history, {"history": "window"}),
    "presence": (refusal_to_see_presence, {"presence": True}),
}


@pytest.mark.parametrize("feature", FEATURES)
def test_what_is_allowed_to_clients_and_to_subscribers(feature: str) -> None:
    ask, on = FEATURES[feature]
    clients = _organization(**{f"allow_{feature}_for_client": True}, **on)
    subscribers = _organization(**{f"allow_{feature}_for_subscriber": True}, **on)
    nameless = _organization(
        **{f"allow_{feature}_for_subscriber": True, f"allow_{feature}_for_anonymous": True}, **on
    )
    assert ask(USER, clients, "room:1", KNOWN) is None
    assert ask(NOBODY, clients, "room:1", KNOWN) is DENIED
    assert ask(USER, clients, "$room:1", KNOWN) is None
    assert ask(USER, subscribers, "room:1", KNOWN) is DENIED
    assert ask(USER, subscribers, "room:1", KNOWN, is_subscribed=True) is None
    assert ask(NOBODY, subscribers, "room:1", KNOWN, is_subscribed=True) is DENIED
    assert ask(NOBODY, nameless, "room:1", KNOWN, is_subscribed=True) is None
    assert ask(NOBODY, nameless, "room:1", KNOWN) is DENIED


@pytest.mark.parametrize("feature", FEATURES)
def test_guarded_private_channels_are_for_their_subscribers(feature: str) -> None:
    ask, on = FEATURES[feature]
    allowed = {f"allow_{feature}_for_client": True, f"allow_{feature}_for_subscriber": True}
    guarded = _organization(guard_private=True, insecure=True, **allowed, **on)
    assert ask(USER, guarded, "$room:1", KNOWN) is DENIED
    assert ask(USER, guarded, "$room:1", KNOWN, is_subscribed=True) is None
    guarded = replace(guarded, client_insecure=False)
    assert ask(USER, guarded, "room:1#ann", KNOWN) is DENIED
    assert ask(USER, guarded, "room:1#ann", KNOWN, is_subscribed=True) is None


def test_what_is_off_is_told_to_those_without_permission_too_and_to_keys() -> None:
    closed = _organization()
    for principal in (*EVERYBODY, ALICE):
        assert refusal_to_read_history(principal, closed, "room:1", KNOWN) is OFF
        assert refusal_to_see_presence(principal, closed, "room:1", KNOWN) is OFF


def test_a_key_reads_the_log_where_a_namespace_shows_nothing_of_it() -> None:
    assert refusal_to_read_log(READER, _organization(), "room:1", KNOWN) is None


def test_an_unknown_namespace_counts_before_a_bad_name_and_that_before_what_is_off() -> None:
    organization = _organization()
    strict = replace(organization, channels=replace(organization.channels, unknown="refuse"))
    for ask in ASKED:
        assert ask(USER, strict, "nothing:\u00f6", KNOWN) is Code.UNKNOWN_CHANNEL
        assert ask(USER, strict, "room:\u00f6", KNOWN) is Code.VALIDATION_FAILED


def test_an_expression_of_a_namespace_judges_the_names_of_its_channels() -> None:
    numbered = _organization(allow_subscribe_for_client=True, channel_regex="^[0-9]+$")
    assert refusal_to_subscribe(USER, numbered, "room:42", KNOWN) is None
    assert refusal_to_subscribe(USER, numbered, "room:x", KNOWN) is Code.VALIDATION_FAILED


def test_the_option_of_the_organization_lets_clients_publish_only_where_nothing_is_configured() -> None:
    assert refusal_to_publish(USER, _organization(), "room:1", KNOWN) is DENIED
    assert refusal_to_publish(USER, _organization(), "other:1", KNOWN) is None


@pytest.mark.parametrize(
    ("options", "subscribed", "expected"),
    [
        ({"history": "off", "force_recovery": True, "allow_history_for_client": True}, True, False),
        ({"history": "whole", "force_recovery": True}, False, True),
        ({"history": "window", "allow_recovery": True}, False, True),
        ({"history": "whole"}, True, False),
        ({"history": "whole", "allow_history_for_client": True}, False, True),
        ({"history": "whole", "allow_history_for_subscriber": True}, False, False),
        ({"history": "whole", "allow_history_for_subscriber": True}, True, True),
        ({"history": "whole", "insecure": True}, False, True),
    ],
)
def test_whoever_may_read_the_history_or_is_allowed_to_recover_recovers(
    options: dict[str, Any], *, subscribed: bool, expected: bool
) -> None:
    organization = _organization(**options)
    may = may_recover(USER, organization, "room:1", _options(organization), is_subscribed=subscribed)
    assert may is expected


def test_a_key_recovers_by_its_scope() -> None:
    organization = _organization(history="whole")
    assert may_recover(READER, organization, "room:1", _options(organization))
    assert not may_recover(OTHER, organization, "room:1", _options(organization))


def test_permission_to_see_who_comes_does_not_ask_whether_presence_is_kept() -> None:
    organization = _organization(allow_presence_for_subscriber=True)
    who = (USER, organization, "room:1", _options(organization))
    assert may_see_who_comes(*who, is_subscribed=True)
    assert not may_see_who_comes(*who)


@pytest.mark.parametrize(
    ("format_", "fitting", "unfit"),
    [
        ("", [b"x", b"\xff", b"null"], [b""]),
        ("json", [b"null", b"1", b'"a"', b" {} "], [b"", b"x", b"\xff", b"{", b"[1,]"]),
        ("json_object", [b"{}", b' {"a":1}'], [b"", b"null", b"[]", b"{", b'"{}"']),
        ("binary", [b"", b"\xff", b"{}"], []),
    ],
)
def test_data_has_the_format_of_its_namespace(format_: Any, fitting: list[bytes], unfit: list[bytes]) -> None:
    options = Options(publication_data_format=format_)
    assert [refusal_of_data(options, data) for data in fitting] == [None] * len(fitting)
    assert [refusal_of_data(options, data) for data in unfit] == [Code.VALIDATION_FAILED] * len(unfit)


FLAGS: Final = [
    name for name in Options.__struct_fields__ if name.startswith("allow_") or name == "guard_private"
]


@given(
    st.sampled_from(ASKED[1:]),
    st.sampled_from([USER, NOBODY, UNNAMED]),
    st.sets(st.sampled_from(FLAGS)),
    st.text("a:#$,n", max_size=8),
    st.booleans(),
)
def test_a_subscriber_may_do_whatever_others_may(
    ask: Any,
    principal: Principal,
    flags: set[str],
    name: str,
    insecure: bool,  # noqa: FBT001 (a parameter of the test)
) -> None:
    if ask is refusal_to_read_log:
        return
    options = replace_options(Options(history="whole", presence=True), **dict.fromkeys(flags, True))
    organization = replace(STRICT, client_insecure=insecure, channels=ChannelRules(options))
    if ask(principal, organization, name, KNOWN) is None:
        assert ask(principal, organization, name, KNOWN, is_subscribed=True) is None


@given(st.sampled_from([USER, NOBODY]), st.sets(st.sampled_from(FLAGS)), st.text("a#,n", max_size=8))
def test_no_option_lets_a_client_into_a_private_channel_without_a_token(
    principal: Principal, flags: set[str], name: str
) -> None:
    options = replace_options(Options(), **dict.fromkeys(flags, True))
    organization = replace(INSECURE, channels=ChannelRules(options))
    assert refusal_to_subscribe(principal, organization, "$" + name, KNOWN) is not None


def test_our_own_options_are_open_for_reading() -> None:
    assert refusal_of_data(OWN, b"x") is Code.VALIDATION_FAILED
    assert may_recover(USER, PLAIN, "room:1", OWN)


def acknowledging(
    principal: Principal, options: Options, channel: str = "chat:1", **how: bool
) -> Code | None:
    organization = replace(PLAIN, channels=ChannelRules(namespaces={"chat": options}))
    return refusal_to_acknowledge(principal, organization, channel, KNOWN, **how)


def test_a_user_acknowledges_where_it_may_subscribe_or_read_or_is_subscribed() -> None:
    enters = Options(allow_subscribe_for_client=True)
    reads = Options(history="whole", allow_history_for_client=True)
    assert acknowledging(USER, enters) is None
    assert acknowledging(USER, reads) is None
    assert acknowledging(USER, replace_options(reads, history="off")) is Code.PERMISSION_DENIED
    assert acknowledging(USER, Options()) is Code.PERMISSION_DENIED
    assert acknowledging(USER, Options(), is_subscribed=True) is None
    assert acknowledging(USER, enters, "$chat:1") is Code.PERMISSION_DENIED
    assert acknowledging(USER, enters, "$chat:1", is_subscribed=True) is None


def test_where_the_backend_lets_users_in_only_those_inside_acknowledge() -> None:
    asked = Options(allow_subscribe_for_client=True, subscribe_proxy=True)
    assert acknowledging(USER, asked) is Code.PERMISSION_DENIED
    assert acknowledging(USER, asked, is_subscribed=True) is None


@pytest.mark.parametrize("principal", [READER, WRITER, OTHER, NOBODY, replace(USER, id="")])
def test_only_a_user_with_a_name_acknowledges(principal: Principal) -> None:
    for options in (OWN, Options(allow_subscribe_for_client=True, allow_subscribe_for_anonymous=True)):
        assert acknowledging(principal, options, is_subscribed=True) is Code.PERMISSION_DENIED


OCCUPANCY = "tidings:occupancy"


@pytest.mark.parametrize("organization", [STRICT, PLAIN, PUBLISHING, INSECURE])
@pytest.mark.parametrize("principal", EVERYBODY, ids=lambda principal: str(principal.id or "nobody"))
def test_nobody_publishes_to_a_channel_of_the_system(
    principal: Principal, organization: Organization
) -> None:
    for channel in (OCCUPANCY, "tidings:", "$tidings:x"):
        for is_subscribed in (False, True):
            refusal = refusal_to_publish(
                principal, organization, channel, KNOWN | {"tidings"}, is_subscribed=is_subscribed
            )
            assert refusal is Code.PERMISSION_DENIED


def test_keys_read_the_channels_of_the_system_and_users_with_a_token_for_it() -> None:
    for ask in (refusal_to_subscribe, refusal_to_read_history, refusal_to_read_log):
        assert ask(READER, STRICT, OCCUPANCY, KNOWN) is None
        assert ask(USER, STRICT, OCCUPANCY, KNOWN) is Code.PERMISSION_DENIED
        assert ask(OTHER, STRICT, OCCUPANCY, KNOWN) is Code.PERMISSION_DENIED
    assert refusal_to_subscribe(USER, STRICT, OCCUPANCY, KNOWN, has_token=True) is None
    assert refusal_to_read_history(USER, STRICT, OCCUPANCY, KNOWN, is_subscribed=True) is None
    assert refusal_to_see_presence(READER, STRICT, OCCUPANCY, KNOWN) is Code.NOT_AVAILABLE


@pytest.mark.parametrize("insecure", [False, True])
def test_where_a_token_must_name_a_user_one_without_is_refused_and_nobody_else(insecure: bool) -> None:  # noqa: FBT001 (a parameter of the test)
    rules = ChannelRules(clients=ClientOptions(disallow_anonymous_tokens=True))
    strict = replace(PLAIN, channels=rules, client_insecure=insecure)
    nameless = replace(USER, id="")
    assert refusal_to_connect(nameless, strict) is Code.PERMISSION_DENIED
    assert refusal_to_connect(nameless, PLAIN) is None
    assert [refusal_to_connect(one, strict) for one in EVERYBODY] == [None] * len(EVERYBODY)
