"""Which subscriptions a client may have, and on what terms (§4.1, §4.2 and §11 of the protocol)."""

from collections.abc import Set as AbstractSet
from dataclasses import dataclass

from core.auth.access import may_recover, may_see_who_comes, refusal_to_subscribe
from core.auth.override import NOTHING, Override
from core.auth.principal import Organization, Principal
from core.auth.tokens import SubscriptionClaims
from core.channels.filter import validate
from core.channels.name import PRIVATE, USER_BOUNDARY, is_text
from core.channels.namespace import Options
from core.connections.effects import Admit
from core.connections.frames import Since, Subscribe
from core.connections.subscription import Grant
from core.errors import Code, TidingsError
from core.instants import Instant

FOSSIL = "fossil"


@dataclass(frozen=True, slots=True)
class Asking:
    """Who asks, and the namespaces that exist by themselves: the names of the resource types."""

    principal: Principal
    organization: Organization
    types: AbstractSet[str]

    def options_of(self, channel: str) -> Options | None:
        """Return the options of the channel's namespace; None: it is unknown."""
        return self.organization.channels.options_of(channel, self.types)

    def refusal_to_subscribe(self, channel: str, *, has_token: bool = False) -> Code | None:
        """Return why it may not subscribe, or None."""
        return refusal_to_subscribe(
            self.principal, self.organization, channel, self.types, has_token=has_token
        )

    def asks_backend(self, channel: str, options: Options) -> bool:
        """Say whether it is the backend that lets it in: not where a token or the name decides."""
        is_limited = options.allow_user_limited_channels and USER_BOUNDARY in channel
        is_open = not is_limited and not channel.startswith(PRIVATE)
        return options.subscribe_proxy and is_open and self.principal.kind != "key"


@dataclass(frozen=True, slots=True)
class Terms:
    """What a token or the backend says of one subscription.

    `info` and `data` are raw JSON or nothing; `is_refreshable`: the client brings a new token before
    `expires_at`.
    """

    channel: str = ""
    info: bytes = b""
    data: bytes = b""
    override: Override = NOTHING
    expires_at: Instant | None = None
    is_refreshable: bool = False


def terms_of(claims: SubscriptionClaims, principal: Principal, channel: str, client: str) -> Terms | None:
    """Return what a subscription token says; None: it is another user's, channel's or client's.

    An empty `channel` stands for the one that the token names.
    """
    if channel not in ("", claims.channel) or claims.user != principal.id:
        return None
    if claims.client and claims.client != client:
        return None
    return Terms(
        claims.channel,
        claims.info,
        claims.data,
        claims.override,
        claims.expires_at,
        is_refreshable=claims.expires_at is not None,
    )


def admission_of(asking: Asking, command: Subscribe) -> Grant | Admit | Code:
    """Return what becomes of a subscribe: it is granted, others must be asked, or why it is refused."""
    channel, options = command.channel, asking.options_of(command.channel)
    if options is None:
        return Code.UNKNOWN_CHANNEL
    refusal = asking.refusal_to_subscribe(channel, has_token=bool(command.token))
    if refusal in (None, Code.PERMISSION_DENIED):
        refusal = _refusal_of_wishes(command, options) or refusal  # a bad request, from whomever
    asks_backend = not command.token and asking.asks_backend(channel, options)
    if refusal is Code.PERMISSION_DENIED and asks_backend:
        refusal = None  # it is the backend that decides
    if refusal is not None:
        return refusal
    if command.token or asks_backend:
        return Admit(command, ask_backend=asks_backend)
    return grant_of_terms(asking, command, options, Terms())


def _refusal_of_wishes(command: Subscribe, options: Options) -> Code | None:
    """Return why a subscribe asks for what can't be, or None."""
    if command.filter is None:
        return None
    if not options.allow_tags_filter or command.delta:
        return Code.VALIDATION_FAILED
    try:
        validate(command.filter)
    except TidingsError as error:
        return error.code
    return None


def grant_of_addition(asking: Asking, command: Subscribe, terms: Terms) -> Grant | None:
    """Return the terms of a subscription that the server adds; None: there can be no such channel."""
    options = asking.options_of(command.channel)
    if options is None or not is_text(command.channel):
        return None
    return grant_of_terms(asking, command, options, terms, is_server_side=True)


def grant_of_terms(
    asking: Asking, command: Subscribe, options: Options, terms: Terms, *, is_server_side: bool = False
) -> Grant:
    """Return the terms of a subscription that is allowed."""
    who = (asking.principal, asking.organization, command.channel)
    override = terms.override
    announces = _first(override.join_leave, options.join_leave)
    may_hear = announces and command.join_leave
    recovers = _first(override.force_recovery, options.force_recovery)
    return Grant(
        options,
        is_server_side=is_server_side,
        presence=_first(override.presence, options.presence),
        announces=announces,
        hears=_first(override.force_push_join_leave, options.force_push_join_leave)
        or (may_hear and may_see_who_comes(*who, options, is_subscribed=True)),
        recoverable=options.history != "off" and (recovers or may_recover(*who, options, is_subscribed=True)),
        delta=command.delta and FOSSIL in options.allowed_delta_types,
        info=terms.info,
        filter=command.filter,
        max_rate=command.max_rate,
        is_renewable=terms.is_refreshable,
    )


@dataclass(frozen=True, slots=True)
class ServerSide:
    """One server-side subscription of a new connection; `data` goes to the client with it."""

    command: Subscribe
    grant: Grant
    data: bytes = b""
    expires_at: Instant | None = None


def server_side(
    asking: Asking, asked: dict[str, Since], *, by_backend: bool = False
) -> list[ServerSide] | Code:
    """Return the server-side subscriptions of a new connection, or why it can't have them.

    Its token's, its user's personal channel, and those it asks for and may have without a token; with
    `by_backend` it was the backend that let it in, and what the client asks for are positions alone.
    `protocol_violation` when it asks for an unknown namespace, `unknown_channel` when its token does.
    """
    found: dict[str, ServerSide] = {}
    for channel, terms in _wanted(asking).items():
        options = asking.options_of(channel)
        if options is None:
            return Code.UNKNOWN_CHANNEL
        if not is_text(channel):
            return Code.VALIDATION_FAILED
        found[channel] = _server_side(asking, options, terms, asked)
    for channel in () if by_backend else asked:
        options = asking.options_of(channel)
        if options is None:
            return Code.PROTOCOL_VIOLATION
        if channel not in found and _may_have(asking, channel, options):
            found[channel] = _server_side(asking, options, Terms(channel), asked)
    return list(found.values())


def _wanted(asking: Asking) -> dict[str, Terms]:
    """Return what a connection is subscribed to without asking."""
    principal, rules = asking.principal, asking.organization.channels
    wanted = {
        channel: Terms(channel, claims.info, claims.data, claims.override, claims.expires_at)
        for channel, claims in principal.subs.items()
    }
    if not wanted:
        wanted = {channel: Terms(channel) for channel in principal.channels}
    personal = rules.personal_channel(principal.id, asking.types) if principal.kind == "user" else ""
    if personal:
        wanted.setdefault(personal, Terms(personal))
    return wanted


def _may_have(asking: Asking, channel: str, options: Options) -> bool:
    return asking.refusal_to_subscribe(channel) is None and not asking.asks_backend(channel, options)


def _server_side(asking: Asking, options: Options, terms: Terms, asked: dict[str, Since]) -> ServerSide:
    at = asked.get(terms.channel, Since())
    command = Subscribe(0, terms.channel, at.since, delta=at.delta)
    grant = grant_of_terms(asking, command, options, terms, is_server_side=True)
    return ServerSide(command, grant, terms.data, terms.expires_at)


def _first(said: bool | None, otherwise: bool) -> bool:  # noqa: FBT001 (two answers to one question)
    return otherwise if said is None else said
