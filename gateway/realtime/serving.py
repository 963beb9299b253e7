"""Commands that are answered with what others know: publishes, history, presence."""

import asyncio

from core.connections.backend import PublishAnswer
from core.connections.effects import Read, See, Write
from core.connections.frames import (
    ErrorReply,
    History,
    HistoryPage,
    Presence,
    PresenceCount,
    PresenceList,
    PresenceStats,
    Published,
    Reply,
)
from core.errors import REGISTRY, Code, Row, TidingsError
from core.streams.command import Command
from core.streams.command import Publish as PublishOperation
from core.streams.event import OPAQUE, SPARES_SENDER
from core.streams.event_object import is_json
from core.streams.outcome import Committed, Outcome, Refused, Unknown
from gateway.realtime.calling import EndedError, ask_to_publish
from gateway.realtime.failures import reply_of
from gateway.realtime.participant import Participant, info_of, principal_of
from gateway.realtime.reading import backend_key, fingerprint_of, read_history

_CODES = frozenset(code.value for code in Code)
_UNCHANGED = PublishAnswer()


def write(client: Participant, effect: Write) -> None:
    """Publish, and reply when it is durable: the writer takes commands in the order of these calls."""
    if effect.ask_backend:
        client.spawn("publish", _ask_and_write(client, effect))
    else:
        _submit(client, effect, _UNCHANGED)
    feed = client.feed
    if feed is not None and feed.congestion.is_on:
        feed.congestion.hold(client)


async def _ask_and_write(client: Participant, effect: Write) -> None:
    publish = effect.command
    try:
        answer = await ask_to_publish(client, publish)
    except EndedError:
        return
    except (TidingsError, OSError) as error:
        answer = reply_of(error)
    if client.connection.is_closed:
        return
    if isinstance(answer, ErrorReply):
        client.reply(publish.id, answer)
        client.run(client.connection.of_channel(lambda members: members.written(publish.channel)))
    else:
        _submit(client, effect, answer)


def _submit(client: Participant, effect: Write, answer: PublishAnswer) -> None:
    replica, publish, principal = client.replica, effect.command, principal_of(client)
    data = publish.data if answer.data is None else answer.data
    is_opaque = effect.is_opaque if answer.data is None else not is_json(data)
    key = publish.idempotency_key or backend_key(publish.channel, answer.idempotency_key)
    operation = PublishOperation(
        (publish.channel,),
        data,
        info_of(client),
        None if answer.tags is None else dict(answer.tags),
        ephemeral=effect.is_ephemeral or answer.skip_history,
        flags=SPARES_SENDER * publish.exclude_self | OPAQUE * is_opaque,
    )
    command = Command(
        principal.organization_id,
        replica.entropy.id(),
        operation,
        replica.deadline_ms,
        key,
        fingerprint_of(publish.channel, data) if key else b"",
        principal.id if principal.kind == "key" else "",
    )
    outcome = asyncio.ensure_future(replica.writer.submit(command))
    outcome.add_done_callback(lambda settled: _written(client, publish.id, publish.channel, settled.result()))


def _written(client: Participant, id_: int, channel: str, outcome: Outcome) -> None:
    client.reply(id_, _published(outcome))
    client.run(client.connection.of_channel(lambda members: members.written(channel)))


def _published(outcome: Outcome) -> Reply:
    match outcome:
        case Committed():
            offset = outcome.offsets[0] if outcome.offsets else 0
            return Published(outcome.epoch, offset, outcome.seq, duplicate=outcome.replayed)
        case Refused():
            return ErrorReply(_row_of(outcome.code).realtime)
        case Unknown():
            return ErrorReply(REGISTRY[Code.OUTCOME_UNKNOWN].realtime)


def _row_of(code: str) -> Row:
    """Return the registry's row; a code of a newer release's owner is answered as an error of ours."""
    return REGISTRY[Code(code) if code in _CODES else Code.INTERNAL]


async def read(client: Participant, effect: Read) -> None:
    """Answer with a page of history."""
    feed, command, asking = client.feed, effect.command, client.connection.asking
    if feed is None or asking is None:
        return
    async with client.turn():  # a page is read when the one before it has left
        await client.drained()
        try:
            reply: Reply = await read_history(
                client.replica, feed, command, asking.options_of(command.channel)
            )
        except (TidingsError, OSError) as error:
            reply = reply_of(error)
        if isinstance(reply, HistoryPage) and client.form.codec.is_json and _has_opaque(reply):
            client.refuse_payload()
        _answer(client, command, reply)


def _has_opaque(page: HistoryPage) -> bool:
    return any(event.flags & OPAQUE for _, event in page.publications)


async def see(client: Participant, effect: See) -> None:
    """Answer who, or how many, are in a channel."""
    replica, command, organization_id = client.replica, effect.command, principal_of(client).organization_id
    try:
        if isinstance(command, Presence):
            members = await replica.roster.members(
                organization_id,
                command.channel,
                limit=replica.presence_members_max,
                bytes_max=replica.settings.frame_bytes_max,
            )
            reply: Reply = PresenceList(members.clients)
        else:
            count: PresenceCount = await replica.roster.count(organization_id, command.channel)
            reply = count
    except (TidingsError, OSError) as error:
        reply = reply_of(error)
    _answer(client, command, reply)


def _answer(client: Participant, command: History | Presence | PresenceStats, reply: Reply) -> None:
    """Reply; then what names the same channel takes its turn."""
    client.reply(command.id, reply)
    client.run(client.connection.of_channel(lambda members: members.finished(command.channel)))
