"""Who connects and who subscribes: credentials verified, and the connection told of it."""

from dataclasses import dataclass, replace

from core.auth.access import refusal_to_connect
from core.auth.principal import Organization, Principal
from core.connections.admission import Terms, terms_of
from core.connections.backend import SubscribeAnswer
from core.connections.codes import CONNECTION_LIMIT, INVALID_TOKEN
from core.connections.effects import Admit, Authenticate, Reauthenticate, Renew
from core.connections.frames import Connect, ErrorReply
from core.errors import Code, TidingsError
from gateway.realtime.calling import EndedError, ask_to_connect, ask_to_subscribe
from gateway.realtime.failures import known, reply_of
from gateway.realtime.feed import Feed
from gateway.realtime.participant import Participant, principal_of
from gateway.realtime.parts import Replica
from gateway.realtime.users import admit_user


@dataclass(frozen=True, slots=True)
class _Welcome:
    """Who was let in; `data` goes into the reply, `by_backend`: it was the backend that did so."""

    principal: Principal
    organization: Organization
    data: bytes = b""
    by_backend: bool = False


async def authenticate(client: Participant, effect: Authenticate) -> None:
    """Let a client in, or refuse it."""
    replica, command = client.replica, effect.command
    try:
        welcome = await _who(client, command)
        if isinstance(welcome, ErrorReply):
            client.run(client.connection.refused_by_backend(command.id, welcome, replica.clock.monotonic()))
            replica.wheel.add(client)
            return
        organization_id = welcome.principal.organization_id
        options = await replica.backends.options(organization_id)
        feed = await _feed_of(replica, organization_id)
    except EndedError:
        return
    except (TidingsError, OSError) as error:
        client.run(client.connection.refused(command.id, known(error), replica.clock.monotonic()))
        replica.wheel.add(client)
        return
    if client.connection.is_closed:
        replica.hub.leave(feed)
        return
    client.opening = replica.kept_of(client.opening, command.headers, options)
    client.feed = feed
    replica.clients.seat(client, feed, welcome.principal.id)
    replica.admission.hold_connect(organization_id)
    if welcome.principal.kind == "key":
        feed.keys.add(welcome.principal.id)
    if not await admit_user(client, feed, welcome.principal, welcome.organization):
        client.end(CONNECTION_LIMIT)
        return
    organization = await _still_welcome(client, welcome.principal)
    if organization is not None:
        asks_to_stay = welcome.by_backend and bool(options.url_of("refresh"))
        _let_in(client, command, replace(welcome, organization=organization), asks_to_stay=asks_to_stay)


async def _still_welcome(client: Participant, principal: Principal) -> Organization | None:
    """Return the organization as it is now; None: the client may not come in after all, and is ended.

    `Standing` may have known better than what was believed above, and looks at changes alone: whoever is let
    in must not bring along what holds no more.
    """
    authenticator = client.replica.authenticator
    if not await authenticator.still_valid(principal):
        client.end(INVALID_TOKEN)
        return None
    try:
        return await authenticator.organization(principal.organization_id)
    except TidingsError as error:
        client.end(error.row.close)
        return None


async def _feed_of(replica: Replica, organization_id: bytes) -> Feed:
    """Return the organization's feed: an order that is given after the reply must come to this client."""
    feed = replica.hub.join(organization_id)
    try:
        await feed.heard()
    except BaseException:
        replica.hub.leave(feed)
        raise
    return feed


def _let_in(client: Participant, command: Connect, welcome: _Welcome, *, asks_to_stay: bool) -> None:
    replica = client.replica
    if client.connection.is_closed:  # it left meanwhile
        return
    connected = client.connection.connected(
        command,
        welcome.principal,
        welcome.organization,
        at=replica.moment(),
        data=welcome.data,
        by_backend=welcome.by_backend,
        asks_to_stay=asks_to_stay,
    )
    replica.chronicle.came(client)
    client.run(connected)
    replica.wheel.add(client)


async def _who(client: Participant, command: Connect) -> _Welcome | ErrorReply:
    """Return who connects: by the credential that it brings, or without one by what the backend says."""
    authenticator, authorization = client.replica.authenticator, client.opening.authorization
    if not authenticator.has_credential(command.token, authorization):
        organization = await authenticator.default_organization()
        organization_id = organization.organization_id
        _count(client, organization_id)
        options = await client.replica.backends.options(organization_id)
        if options.url_of("connect"):
            answer = await ask_to_connect(client, organization_id, command)
            if isinstance(answer, ErrorReply):
                return answer
            return _Welcome(answer[0], organization, answer[1], by_backend=True)
        return _Welcome(*await authenticator.connection("", None))
    principal, organization = await authenticator.connection(command.token, authorization)
    refusal = refusal_to_connect(principal, organization)
    if refusal is not None:
        raise TidingsError(refusal)
    _count(client, principal.organization_id)
    return _Welcome(principal, organization)


def _count(client: Participant, organization_id: bytes) -> None:
    refusal = client.replica.admission.admit_connect(organization_id)
    if refusal is not None:
        raise TidingsError(refusal)


async def reauthenticate(client: Participant, effect: Reauthenticate) -> None:
    """Take a new token, or refuse it."""
    replica = client.replica
    try:
        principal, _ = await replica.authenticator.connection(effect.token, None)
    except (TidingsError, OSError) as error:
        client.run(client.connection.refresh_refused(effect.id, known(error)))
        return
    client.run(client.connection.refreshed(effect.id, principal, replica.moment()))
    replica.wheel.add(client)
    replica.wheel.add(client)


async def admit(client: Participant, effect: Admit) -> None:
    """Let a client subscribe by its token or by what the backend says, or refuse it."""
    command = effect.command
    try:
        if effect.ask_backend:
            answer = await ask_to_subscribe(client, command)
            terms = None if isinstance(answer, ErrorReply) else _terms_of_backend(command.channel, answer)
            refusal = answer if isinstance(answer, ErrorReply) else None
        else:
            terms, refusal = await _terms(client, command.channel, command.token), None
    except EndedError:
        return
    except (TidingsError, OSError) as error:
        terms, refusal = None, reply_of(_of_subscribe(known(error)))
    if refusal is not None:
        client.replica.chronicle.refused(client, command.channel, refusal.code)
        client.run(client.connection.of_channel(lambda members: members.not_admitted(command, refusal)))
        return
    moment = client.replica.moment()
    client.run(client.connection.of_channel(lambda members: members.admitted(command, terms, moment)))
    client.replica.wheel.add(client)


def _terms_of_backend(channel: str, answer: SubscribeAnswer) -> Terms:
    return Terms(channel, answer.info, answer.data, answer.override, answer.expires_at)


def _of_subscribe(error: TidingsError) -> TidingsError:
    """Return what a subscribe is answered with: a token that is no good gives no permission."""
    return TidingsError(Code.PERMISSION_DENIED) if error.code is Code.CREDENTIAL_INVALID else error


async def renew(client: Participant, effect: Renew) -> None:
    """Take a subscription's new token, or refuse it."""
    command = effect.command
    try:
        terms = await _terms(client, command.channel, command.token)
    except (TidingsError, OSError) as error:
        failure = known(error)
        client.run(client.connection.of_channel(lambda members: members.not_renewed(command, failure)))
        return
    moment = client.replica.moment()
    client.run(client.connection.of_channel(lambda members: members.renewed(command, terms, moment)))
    client.replica.wheel.add(client)


async def _terms(client: Participant, channel: str, token: str) -> Terms | None:
    asking = client.connection.asking
    assert asking is not None  # noqa: S101 (asked of connected clients alone)
    claims = await client.replica.authenticator.subscription(asking.organization, token)
    return terms_of(claims, principal_of(client), channel, client.client_id)
