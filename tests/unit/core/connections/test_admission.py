"""Which subscriptions a client may have, and on what terms."""

from dataclasses import replace
from typing import Any

import pytest

from core.auth.override import Override
from core.auth.tokens import SubClaims, SubscriptionClaims
from core.channels.filter import FilterNode
from core.channels.namespace import OWN, Options
from core.connections.admission import (
    ServerSide,
    Terms,
    admission_of,
    grant_of_addition,
    grant_of_terms,
    server_side,
    terms_of,
)
from core.connections.effects import Admit
from core.connections.frames import Since, Subscribe
from core.connections.subscription import Grant
from core.errors import Code
from core.streams.position import Position
from tests.helpers.connections import (
    ANN,
    ANONYMOUS,
    ASKING,
    CHAT,
    CLOSED,
    KEY,
    LIMITED,
    LOUD,
    OPEN,
    ORGANIZATION,
    PERSONAL,
    ROOM,
    SECRET,
    A,
    B,
    asking,
    demanding,
    instant,
    ruled,
    tokened,
)

INSECURE = replace(ORGANIZATION, client_insecure=True)
CLAIMS = SubscriptionClaims("ann", A)


def granted(
    command: Subscribe | None = None,
    options: Options = OWN,
    terms: Terms | None = None,
    who: Any = None,
    *,
    is_server_side: bool = False,
) -> Grant:
    return grant_of_terms(
        who or asking(),
        command or Subscribe(1, A),
        options,
        terms or Terms(),
        is_server_side=is_server_side,
    )


# --- who is asked


@pytest.mark.parametrize(
    ("channel", "options", "expected"),
    [
        ("asking:a", ASKING, True),
        ("asking:#ann", ASKING, True),
        ("open:a", OPEN, False),
        ("$asking:a", ASKING, False),
        ("limited:a", LIMITED, True),
        ("limited:a#ann", LIMITED, False),
        ("limited:a#bob", LIMITED, False),
    ],
)
def test_the_backend_is_asked_where_neither_a_token_nor_the_name_decides(
    channel: str, options: Options, *, expected: bool
) -> None:
    assert asking().asks_backend(channel, options) is expected
    assert not asking(KEY).asks_backend(channel, options)


def test_whether_a_client_may_subscribe_is_judged_by_its_principal_and_the_channel() -> None:
    assert asking().refusal_to_subscribe(A) is None
    assert asking().refusal_to_subscribe("$room:a") is Code.PERMISSION_DENIED
    assert asking().refusal_to_subscribe("$room:a", has_token=True) is None
    assert asking(organization=INSECURE).refusal_to_subscribe("closed:a") is None
    assert asking(organization=INSECURE).refusal_to_subscribe("limited:#bob") is None
    assert asking(organization=INSECURE).refusal_to_subscribe("$closed:a") is Code.PERMISSION_DENIED
    assert asking(ANONYMOUS).refusal_to_subscribe("open:a") is Code.PERMISSION_DENIED
    assert (asking().options_of(A), asking().options_of("unknown:a")) == (OWN, None)


# --- subscription tokens


def test_a_token_brings_its_terms() -> None:
    override = Override(presence=True)
    claims = SubscriptionClaims("ann", A, instant(60), b'{"a":1}', b"2", override, "c-1")
    terms = Terms(A, b'{"a":1}', b"2", override, instant(60), is_refreshable=True)
    assert terms_of(claims, ANN, A, "c-1") == terms
    assert terms_of(CLAIMS, ANN, A, "c-1") == Terms(A)


def test_without_a_channel_it_is_the_one_that_the_token_names() -> None:
    assert terms_of(CLAIMS, ANN, "", "c-1") == Terms(A)


def test_a_token_of_another_user_channel_or_client_brings_none() -> None:
    assert terms_of(replace(CLAIMS, user="bob"), ANN, A, "c-1") is None
    assert terms_of(replace(CLAIMS, user=""), ANN, A, "c-1") is None
    assert terms_of(CLAIMS, ANN, B, "c-1") is None
    assert terms_of(replace(CLAIMS, client="c-2"), ANN, A, "c-1") is None
    assert terms_of(replace(CLAIMS, user=""), ANONYMOUS, A, "c-1") == Terms(A)


# --- what becomes of a subscribe


def test_what_a_client_may_have_by_itself_is_granted() -> None:
    assert admission_of(asking(), Subscribe(2, A)) == ROOM


@pytest.mark.parametrize(
    ("command", "code"),
    [
        (Subscribe(6, "unknown:a"), Code.UNKNOWN_CHANNEL),
        (tokened(6, "unknown:a"), Code.UNKNOWN_CHANNEL),
        (tokened(6, "room:\u00f6"), Code.VALIDATION_FAILED),
        (Subscribe(6, "room:" + "a" * 251), Code.VALIDATION_FAILED),
        (Subscribe(6, SECRET), Code.PERMISSION_DENIED),
        (Subscribe(6, "closed:a"), Code.PERMISSION_DENIED),
        (Subscribe(6, "limited:#bob"), Code.PERMISSION_DENIED),
        (Subscribe(6, A, filter=FilterNode(op="xor")), Code.VALIDATION_FAILED),
        (Subscribe(6, "closed:a", filter=FilterNode(key="a", cmp="ex")), Code.VALIDATION_FAILED),
        (Subscribe(6, "asking:a", filter=FilterNode(key="a", cmp="ex")), Code.VALIDATION_FAILED),
    ],
)
def test_a_subscribe_is_refused_in_the_order_of_checks(command: Subscribe, code: Code) -> None:
    assert admission_of(asking(), command) is code


def test_a_filter_must_be_one_be_allowed_and_stand_without_delta() -> None:
    good, bad = FilterNode(key="a", cmp="ex"), FilterNode(op="xor")
    assert admission_of(asking(), Subscribe(1, A, filter=good)) == replace(ROOM, filter=good)
    assert admission_of(asking(), Subscribe(1, A, delta=True)) == replace(ROOM, delta=True)
    for wish in (
        Subscribe(1, A, filter=bad),
        Subscribe(1, "open:a", filter=good),
        Subscribe(1, A, filter=good, delta=True),
    ):
        assert admission_of(asking(), wish) is Code.VALIDATION_FAILED


def test_a_key_is_judged_by_its_scopes() -> None:
    assert admission_of(asking(KEY), Subscribe(2, "$closed:a")) == Grant(CLOSED)
    unscoped = asking(replace(KEY, scopes=frozenset()))
    assert admission_of(unscoped, Subscribe(2, A)) is Code.PERMISSION_DENIED


def test_where_the_backend_is_asked_it_decides_even_what_nobody_else_allows() -> None:
    for command in (Subscribe(2, "asking:a", data=b"1"), Subscribe(2, "limited:a")):
        assert admission_of(asking(), command) == Admit(command, ask_backend=True)


def test_a_token_or_a_list_of_users_decides_in_place_of_the_backend() -> None:
    for command in (tokened(2, SECRET), tokened(2, "closed:a"), tokened(2, "asking:a")):
        assert admission_of(asking(), command) == Admit(command, ask_backend=False)
    assert admission_of(asking(), Subscribe(3, "limited:#ann")) == Grant(LIMITED)


# --- what is granted


def test_a_subscription_has_what_its_command_wishes_and_the_namespace_allows() -> None:
    node = FilterNode(key="a", cmp="ex")
    assert granted() == ROOM
    assert granted(Subscribe(1, A, filter=node, max_rate=2.5)) == replace(ROOM, filter=node, max_rate=2.5)
    assert granted(Subscribe(1, A, delta=True)) == replace(ROOM, delta=True)
    assert granted(Subscribe(1, "open:a", delta=True), OPEN) == Grant(OPEN)
    assert granted(is_server_side=True) == replace(ROOM, is_server_side=True)


def test_others_joins_are_heard_where_they_are_told_and_presence_may_be_seen() -> None:
    wish = Subscribe(1, "chat:a", join_leave=True)
    hearing = Grant(CHAT, presence=True, announces=True, hears=True)
    assert granted(wish, CHAT) == hearing
    assert granted(Subscribe(1, "chat:a"), CHAT) == replace(hearing, hears=False)
    secret = Options(presence=True, join_leave=True)
    assert granted(wish, secret) == Grant(secret, presence=True, announces=True)
    assert granted(wish, secret, who=asking(organization=INSECURE)).hears
    assert granted(wish, secret, who=asking(KEY)).hears
    assert not granted(wish, Options(presence=True, allow_presence_for_client=True)).hears


def test_others_joins_are_heard_though_no_presence_is_kept() -> None:
    told = Options(join_leave=True, allow_presence_for_client=True)
    assert granted(Subscribe(1, "some:a", join_leave=True), told) == Grant(told, announces=True, hears=True)


def test_a_namespace_may_force_that_joins_are_heard() -> None:
    assert granted(Subscribe(1, "loud:a"), LOUD) == Grant(LOUD, presence=True, announces=True, hears=True)


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        (Options(), False),
        (Options(history="whole"), False),
        (Options(allow_recovery=True, allow_history_for_client=True), False),
        (Options(history="whole", allow_recovery=True), True),
        (Options(history="window", history_size=1, history_ttl_s=1, force_recovery=True), True),
        (Options(history="whole", allow_history_for_client=True), True),
        (Options(history="whole", allow_history_for_subscriber=True), True),
    ],
)
def test_recovery_is_granted_where_the_owner_opened_the_past(options: Options, *, expected: bool) -> None:
    assert granted(options=options).recoverable is expected


def test_with_everything_allowed_what_has_a_history_is_recovered() -> None:
    who = asking(organization=INSECURE)
    assert granted(options=Options(history="whole"), who=who).recoverable
    assert not granted(options=Options(), who=who).recoverable


def test_a_token_overrides_the_namespace_and_never_a_history_that_is_off() -> None:
    everything = Override(
        presence=True,
        join_leave=True,
        force_recovery=True,
        force_push_join_leave=True,
        force_positioning=True,
    )
    nothing = Override(presence=False, join_leave=False, force_push_join_leave=False)
    seen = Options(history="whole")
    full = Grant(seen, presence=True, announces=True, hears=True, recoverable=True)
    assert granted(options=seen, terms=Terms(override=everything)) == full
    assert granted(options=Options(), terms=Terms(override=everything)).recoverable is False
    assert granted(options=LOUD, terms=Terms(override=nothing)) == Grant(LOUD)


def test_a_token_may_tell_of_the_subscriber_and_be_renewed() -> None:
    terms = Terms(A, b'{"a":1}', b"2", expires_at=instant(60), is_refreshable=True)
    assert granted(terms=terms) == replace(ROOM, info=b'{"a":1}', is_renewable=True)


# --- server-side subscriptions


def test_the_server_adds_what_a_client_may_not_have_by_itself() -> None:
    grant = grant_of_addition(asking(), Subscribe(0, "closed:a"), Terms("closed:a", b"1"))
    assert grant == Grant(CLOSED, is_server_side=True, info=b"1")


@pytest.mark.parametrize("name", ["unknown:a", "", "\0user:ann", "a\nb", "\ud800", "a" * 256])
def test_nothing_is_added_under_a_name_that_no_channel_has(name: str) -> None:
    assert grant_of_addition(asking(), Subscribe(0, name), Terms(name)) is None


def had(principal: Any = ANN, organization: Any = ORGANIZATION, **asked: Since) -> list[ServerSide] | Code:
    return server_side(
        asking(principal, organization), {key.replace("__", ":"): at for key, at in asked.items()}
    )


def ours(channel: str, options: Options = OWN, **more: Any) -> ServerSide:
    return ServerSide(Subscribe(0, channel), replace(Grant(options), is_server_side=True, **more))


def test_a_connection_has_none_unless_somebody_wants_them() -> None:
    assert had() == []


def test_a_token_names_channels_and_may_give_their_terms() -> None:
    room = ours(A, recoverable=True)
    assert had(replace(ANN, channels=(A, "$closed:a"))) == [room, ours("$closed:a", Options())]
    subs = {A: SubClaims(b'{"a":1}', b"2", Override(presence=True), instant(60)), B: SubClaims()}
    told = replace(room.grant, info=b'{"a":1}', presence=True)
    assert had(replace(ANN, subs=subs, channels=("room:c",))) == [
        ServerSide(Subscribe(0, A), told, b"2", instant(60)),
        ours(B, recoverable=True),
    ]


def test_a_user_has_a_personal_channel_where_the_organization_says_so() -> None:
    mine = ours("loud:#ann", LOUD, presence=True, announces=True, hears=True)
    assert had(ANN, PERSONAL) == [mine]
    assert had(replace(ANN, channels=("loud:#ann", A)), PERSONAL) == [mine, ours(A, recoverable=True)]
    assert had(replace(ANN, id=""), PERSONAL) == had(ANONYMOUS, PERSONAL) == had(KEY, PERSONAL) == []


def test_positions_are_given_and_channels_asked_for_with_the_connect() -> None:
    since = Since(Position("e", 7), delta=True)
    found = had(replace(ANN, channels=(A,)), room__a=since, room__b=since)
    recovering = [Subscribe(0, channel, Position("e", 7), delta=True) for channel in (A, B)]
    grant = replace(ROOM, is_server_side=True, delta=True)
    assert found == [ServerSide(command, grant) for command in recovering]


def test_channels_that_a_client_may_not_have_by_itself_are_left_out() -> None:
    wanted = {name: Since() for name in ("$room:a", "closed:a", "asking:a", "limited:#bob", "room:\u00f6")}
    assert server_side(asking(), wanted) == []
    assert server_side(asking(), {"limited:#ann": Since()}) == [ours("limited:#ann", LIMITED)]


def test_whom_the_backend_let_in_gives_positions_and_asks_for_nothing() -> None:
    who, since = asking(replace(ANN, channels=(A,))), Since(Position("e", 7))
    found = server_side(who, {A: since, B: since, "unknown:a": since}, by_backend=True)
    assert found == [
        ServerSide(Subscribe(0, A, Position("e", 7)), replace(ROOM, is_server_side=True)),
    ]


def test_a_channel_that_cannot_be_is_a_fault_of_whoever_names_it() -> None:
    assert had(unknown__a=Since()) is Code.PROTOCOL_VIOLATION
    assert had(replace(ANN, channels=("unknown:a",))) is Code.UNKNOWN_CHANNEL
    assert had(replace(ANN, subs={"unknown:a": SubClaims()})) is Code.UNKNOWN_CHANNEL
    for name in ("", "room:\n", "room:" + "a" * 251):
        assert had(replace(ANN, channels=(name,))) is Code.VALIDATION_FAILED


def test_a_personal_channel_of_an_unknown_namespace_is_unknown() -> None:
    organization = demanding(user_personal_channel=PERSONAL.channels.clients.user_personal_channel)
    assert had(ANN, ruled(organization, namespaces={})) is Code.UNKNOWN_CHANNEL
