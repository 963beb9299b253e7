"""What an organization's own backend is asked about one client."""

from dataclasses import replace

from core.auth.principal import Principal
from core.connections.backend import (
    BackendAnswer,
    BackendEvent,
    Caller,
    ConnectAnswer,
    ConnectEvent,
    Disconnection,
    MessageEvent,
    PublishAnswer,
    PublishEvent,
    RefreshAnswer,
    RefreshEvent,
    RpcAnswer,
    RpcEvent,
    SubscribeAnswer,
    SubscribeEvent,
)
from core.connections.codes import NOT_AVAILABLE
from core.connections.effects import Call, Tell
from core.connections.frames import Connect, ErrorReply, Publish, Reply, Subscribe
from core.connections.frames import RpcAnswer as RpcReply
from core.errors import REGISTRY, Code, TidingsError
from gateway.realtime.cursors import OWN, call_own
from gateway.realtime.failures import reply_of
from gateway.realtime.participant import Participant, principal_of


class EndedError(Exception):
    """The backend wants the connection ended, and it is."""


def _caller(client: Participant) -> Caller:
    opening, asking = client.opening, client.connection.asking
    return Caller(
        client.client_id,
        opening.transport,
        "json" if client.form.codec.is_json else "protobuf",
        "" if asking is None else asking.principal.id,
        b"" if asking is None else asking.principal.meta,
        opening.headers,
        opening.emulated,
    )


async def _ask(client: Participant, organization_id: bytes, event: BackendEvent) -> BackendAnswer:
    """Return the backend's answer.

    Raises:
        EndedError: it was to end the connection.
        TidingsError: `not_available`, it is not asked about this; `unavailable`.
    """
    answer = await client.replica.backends.call(organization_id, event)
    if isinstance(answer, Disconnection):
        client.end(answer.code, answer.reason)
        raise EndedError
    return answer


async def ask_to_connect(
    client: Participant, organization_id: bytes, command: Connect
) -> tuple[Principal, bytes] | ErrorReply:
    """Return who the backend lets in, with data for the connect reply, or its refusal.

    Raises:
        EndedError: it was to end the connection.
        TidingsError: it can't be asked.
    """
    caller = replace(_caller(client), emulated=command.headers)  # the opening has them once it is connected
    event = ConnectEvent(caller, command.data, command.name, command.version, tuple(command.subs))
    answer = await _ask(client, organization_id, event)
    if not isinstance(answer, ConnectAnswer):
        return _refusal(answer)
    principal = Principal(
        organization_id,
        "user",
        answer.user,
        expires_at=answer.expires_at,
        info=answer.info,
        channels=answer.channels,
        subs=answer.subs,
        meta=answer.meta,
    )
    return principal, answer.data


async def ask_to_subscribe(client: Participant, command: Subscribe) -> SubscribeAnswer | ErrorReply:
    """Return on what terms the backend lets a client subscribe, or its refusal; raises as above."""
    organization_id = principal_of(client).organization_id
    event = SubscribeEvent(_caller(client), command.channel, command.data)
    answer = await _ask(client, organization_id, event)
    return answer if isinstance(answer, SubscribeAnswer) else _refusal(answer)


async def ask_to_publish(client: Participant, command: Publish) -> PublishAnswer | ErrorReply:
    """Return what the backend makes of a publication, or its refusal; raises as above."""
    organization_id = principal_of(client).organization_id
    event = PublishEvent(_caller(client), command.channel, command.data)
    answer = await _ask(client, organization_id, event)
    return answer if isinstance(answer, PublishAnswer) else _refusal(answer)


def _refusal(answer: BackendAnswer) -> ErrorReply:
    return answer if isinstance(answer, ErrorReply) else ErrorReply(REGISTRY[Code.INTERNAL].realtime)


async def ask_to_stay(client: Participant, _effect: object) -> None:
    """Let a connection live on that the backend let in for a time, or end it."""
    moment = client.replica.moment()
    try:
        answer = await _ask(client, principal_of(client).organization_id, RefreshEvent(_caller(client)))
    except EndedError:
        return
    except (TidingsError, OSError):
        # We can't say that it may not: it is asked about again.
        again = replace(principal_of(client), expires_at=client.replica.in_a_while())
        client.run(client.connection.prolonged(again, moment, silently=True))
        client.replica.wheel.add(client)
        return
    ends = answer.expires_at if isinstance(answer, RefreshAnswer) else None
    info = answer.info if isinstance(answer, RefreshAnswer) else b""
    principal = principal_of(client)  # as it is now: orders may have changed it meanwhile
    kept = None if ends is None else replace(principal, expires_at=ends, info=info or principal.info)
    client.run(client.connection.prolonged(kept, client.replica.moment(), silently=True))
    client.replica.wheel.add(client)


async def call(client: Participant, effect: Call) -> None:
    """Answer an RPC with what the backend says, or ourselves where the method is our own."""
    command = effect.command
    if command.method.startswith(OWN):
        await call_own(client, command)
        return
    event = RpcEvent(_caller(client), command.method, command.data)
    try:
        answer = await _ask(client, principal_of(client).organization_id, event)
    except EndedError:
        return
    except (TidingsError, OSError) as error:
        client.reply(command.id, reply_of(error))
        return
    reply: Reply = RpcReply(answer.data) if isinstance(answer, RpcAnswer) else _refusal(answer)
    client.reply(command.id, reply)


async def tell(client: Participant, effect: Tell) -> None:
    """Pass a message on; who has no backend to tell ends."""
    try:
        event = MessageEvent(_caller(client), effect.command.data)
        await _ask(client, principal_of(client).organization_id, event)
    except EndedError:
        return
    except TidingsError as error:
        if error.code is Code.NOT_AVAILABLE:
            client.end(NOT_AVAILABLE)
    except OSError:
        pass  # a message has no answer that could say so
    client.answered()
