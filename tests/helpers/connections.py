"""What tests of one connection have in common: who connects, to which channels, and how it is told."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

from core.auth.principal import Organization, Principal
from core.auth.scopes import ALL
from core.channels.namespace import OWN, ChannelRules, ClientOptions, Options, PersonalChannel
from core.connections.admission import Asking, Terms
from core.connections.connection import Connection, Limits, Manner
from core.connections.effects import Effect, Send, SendPush
from core.connections.frames import Command, Connect, ErrorReply, SubRefresh, Subscribe, SubscriptionEnded
from core.connections.membership import Membership
from core.connections.moment import Moment
from core.connections.subscription import Grant, Grants
from core.connections.subscriptions import Subscriptions
from core.errors import REGISTRY, Code, TidingsError
from core.instants import Instant, from_seconds

TYPES = frozenset({"room"})
CHAT = Options(
    presence=True,
    join_leave=True,
    allow_subscribe_for_client=True,
    allow_publish_for_subscriber=True,
    allow_presence_for_subscriber=True,
)
LOUD = Options(presence=True, join_leave=True, force_push_join_leave=True, allow_subscribe_for_client=True)
ASKING = Options(subscribe_proxy=True, publish_proxy=True, allow_subscribe_for_client=True)
LIMITED = Options(subscribe_proxy=True, allow_user_limited_channels=True)
OPEN = Options(allow_subscribe_for_client=True, allow_publish_for_client=True)
CLOSED = Options()
NAMESPACES = {
    "chat": CHAT,
    "loud": LOUD,
    "asking": ASKING,
    "limited": LIMITED,
    "open": OPEN,
    "closed": CLOSED,
}
ORGANIZATION = Organization(
    organization_id=b"o" * 16,
    name="Acme",
    environment="test",
    status="active",
    client_publish=True,
    anonymous=True,
    client_insecure=False,
    token_secret=b"secret",
    channels=ChannelRules(namespaces=NAMESPACES, unknown="refuse"),
)
ANN = Principal(ORGANIZATION.organization_id, "user", "ann")
ANONYMOUS = Principal(ORGANIZATION.organization_id, "anonymous", "")
KEY = Principal(ORGANIZATION.organization_id, "key", "key_1", ALL)

LIMITS = Limits(ping_s=20, pong_s=8, connect_s=15, expiry_grace_s=25, channels_max=3, pending_commands_max=4)
NOW_S = 1_800_000_000
A, B = "room:a", "room:b"
SECRET = "$room:1"  # noqa: S105 (a channel)
ROOM = Grant(OWN, recoverable=True)
"""What a subscription to a room is granted."""
CHATTING = Grant(CHAT, presence=True, announces=True)
"""What a subscription to a channel of the namespace `chat` is granted."""
RENEWABLE = replace(ROOM, is_renewable=True)
"""What it is granted by a token that its client renews."""

TOKEN = Subscribe(2, SECRET, token="t")  # noqa: S106 (no secret)
RENEW = SubRefresh(7, SECRET, "new")
"""A subscribe with a token, and its renewal."""

Said = Command | Callable[[Any], list[Effect]]
"""What happens to a machine: a command of its client, or a report of what became of an effect."""


def moment(at_s: float = 0.0, jitter: float = 1.0) -> Moment:
    """Return the moment at which the monotonic clock, begun at `NOW_S`, shows this."""
    return Moment(at_s, from_seconds(NOW_S + at_s), jitter)


def instant(at_s: float) -> Instant:
    return from_seconds(NOW_S + at_s)


def until(at_s: float, principal: Principal = ANN, *, refreshable: bool = True) -> Principal:
    return replace(principal, expires_at=instant(at_s), refreshable=refreshable)


def ruled(organization: Organization = ORGANIZATION, **rules: Any) -> Organization:
    """Return an organization whose rules of channels are changed."""
    return replace(organization, channels=replace(organization.channels, **rules))


def demanding(**options: Any) -> Organization:
    """Return an organization that demands something of connections."""
    return ruled(clients=ClientOptions(**options))


PERSONAL = demanding(user_personal_channel=PersonalChannel(enabled=True, namespace="loud"))


def asking(principal: Principal = ANN, organization: Organization = ORGANIZATION) -> Asking:
    return Asking(principal, organization, TYPES)


def tokened(id_: int, channel: str, text: str = "t") -> Subscribe:
    """Return a subscribe with a token."""
    return Subscribe(id_, channel, token=text)


def lasting(ends_s: float | None = 60, *, refreshable: bool = True) -> Terms:
    """Return the terms of a subscription that ends."""
    ends = None if ends_s is None else instant(ends_s)
    return Terms(SECRET, expires_at=ends, is_refreshable=refreshable)


def fresh(limits: Limits = LIMITS, **manner: Any) -> Connection:
    return Connection("c-1", limits, Manner(**manner), TYPES, Grants(10), 0.0)


def connected(
    principal: Principal = ANN, organization: Organization = ORGANIZATION, jitter: float = 1.0, **manner: Any
) -> Connection:
    """Return a connection that has its connect reply, at the moment 0."""
    connection, command = fresh(**manner), Connect(1)
    connection.receive([command])
    connection.connected(command, principal, organization, at=moment(jitter=jitter))
    return connection


def members(
    principal: Principal = ANN,
    organization: Organization = ORGANIZATION,
    *,
    channels_max: int = 3,
    is_json: bool = True,
) -> Membership:
    return Membership(
        asking(principal, organization),
        Grants(10),
        channels_max=channels_max,
        pending_commands_max=LIMITS.pending_commands_max,
        grace_s=LIMITS.expiry_grace_s,
        is_json=is_json,
    )


def unsubscribed(channels_max: int = LIMITS.channels_max) -> Subscriptions:
    """Return the subscriptions of who has none yet."""
    return Subscriptions(Grants(10), channels_max=channels_max, grace_s=LIMITS.expiry_grace_s)


def talk(machine: Connection | Membership, *turns: tuple[Said, Sequence[Effect]]) -> None:
    """Hold a conversation: to each thing said, exactly these effects answer."""
    for said, expected in turns:
        if callable(said):
            heard = said(machine)
        elif isinstance(machine, Connection):
            heard = machine.receive([said])
        else:
            heard = machine.receive(said)  # type: ignore[arg-type]
        assert heard == list(expected), f"to {said}"


def report(name: str, *values: Any, **named: Any) -> Said:
    """Return a report about the connection."""
    return lambda connection: getattr(connection, name)(*values, **named) or []


def of_channel(name: str, *values: Any) -> Said:
    """Return a report about a channel: to the membership itself, or by way of its connection."""

    def tell(machine: Connection | Membership) -> list[Effect]:
        if isinstance(machine, Connection):
            return machine.of_channel(lambda members: getattr(members, name)(*values))
        effects: list[Effect] = getattr(machine, name)(*values)
        return effects

    return tell


def joined(channel: str = A) -> Said:
    return of_channel("finished", channel)


def wrote(channel: str = A) -> Said:
    return of_channel("written", channel)


def not_joined(id_: int, code: Code, channel: str = A) -> Said:
    return of_channel("join_failed", id_, channel, code)


def admitted(terms: Terms | None, command: Subscribe = TOKEN, at_s: float = 0.0) -> Said:
    return of_channel("admitted", command, terms, moment(at_s))


def not_admitted(code: int, command: Subscribe = TOKEN) -> Said:
    return of_channel("not_admitted", command, ErrorReply(code))


def renewed(terms: Terms | None, command: SubRefresh = RENEW, at_s: float = 0.0) -> Said:
    return of_channel("renewed", command, terms, moment(at_s))


def not_renewed(code: Code, command: SubRefresh = RENEW) -> Said:
    return of_channel("not_renewed", command, TidingsError(code))


def evicted(channel: str, code: int = 2000) -> Said:
    return of_channel("evicted", channel, code)


def added(command: Subscribe, terms: Terms | None = None, at_s: float = 0.0) -> Said:
    return of_channel("added", command, terms or Terms(command.channel), moment(at_s))


def left(channel: str, id_: int = 3) -> Said:
    return of_channel("left", id_, channel)


def error(id_: int, code: int | Code) -> Send:
    return Send(id_, ErrorReply(REGISTRY[code].realtime if isinstance(code, Code) else code))


def ended(channel: str, code: int = 2000) -> SendPush:
    """Return what tells a client that a subscription of it ended."""
    return SendPush(SubscriptionEnded(channel, code))
