"""The beginning of a subscription: who is there knows of it before its reply, and it misses nothing after."""

import asyncio

from core.connections.effects import Join, Open
from core.connections.frames import Joined, Subscribed, SubscriptionAdded
from core.errors import REGISTRY, Code, TidingsError
from core.streams.event import OPAQUE
from gateway.realtime.failures import known
from gateway.realtime.feed import Feed
from gateway.realtime.joining import Joining
from gateway.realtime.leaving import take_leave, tell_joined
from gateway.realtime.participant import Participant, info_of
from gateway.realtime.subscribing import Beginning


class Room:
    """One page, which the subscriptions of a connect share: they are told of in one message."""

    def __init__(self, bytes_max: int) -> None:
        self._left = bytes_max

    def fitted(self, begun: Beginning) -> Beginning:
        """Return a beginning whose reply has room, be it without what was missed."""
        if begun.listed_bytes > self._left:
            return begun.unlisted()
        self._left -= begun.listed_bytes
        return begun


class Entering:
    """One subscription of one client, from the command to the live stream."""

    def __init__(self, client: Participant, feed: Feed, effect: Join) -> None:
        self._client = client
        self._feed = feed
        self._effect = effect
        self._name = effect.command.channel
        self._channel = feed.channel(self._name)
        self._joining = Joining(client.replica, feed, self._channel, client, effect.grant)

    async def subscribe(self) -> None:
        """Answer a subscribe, or push a subscription that the server adds, and catch up."""
        client, command = self._client, self._effect.command
        try:
            begun = await self.begin()
        except (TidingsError, OSError) as error:
            if not self._joining.is_over():
                self.abandon()
                self._failed(known(error).code)
            return
        if self._joining.is_over():
            return
        reply = self.reply_of(begun)
        if command.id:
            client.reply(command.id, reply)
        else:
            client.send_push(SubscriptionAdded(self._name, reply))
        self.welcome()
        if not command.id:
            self._joining.push(begun.reply.publications)  # no room for them in what tells of it
        # What waited for the reply takes its turn before the catching up, and may be the end of it.
        client.run(client.connection.of_channel(lambda members: members.finished(self._name)))
        await self.catch_up(begun)

    def _failed(self, code: Code) -> None:
        client, id_ = self._client, self._effect.command.id
        client.replica.chronicle.refused(client, self._name, REGISTRY[code].realtime)
        client.run(client.connection.of_channel(lambda members: members.join_failed(id_, self._name, code)))

    async def begin(self, room: Room | None = None) -> Beginning:
        """Enter, and read where the subscription begins; what has no `room` is left to be pushed.

        Raises:
            TidingsError: the position can't be served, or can't be read.
        """
        client, grant, feed = self._client, self._effect.grant, self._feed
        if grant.presence and not self._joining.is_over():  # else nobody would take it out again
            await client.replica.roster.enter(feed.organization_id, self._name, info_of(client, grant.info))
        begun = await self._read()
        while begun.head.epoch != feed.epoch:  # the log has changed under the reading
            begun = await self._read()
        return begun if room is None else room.fitted(begun)

    async def _read(self) -> Beginning:
        command, client = self._effect.command, self._client
        reader, strict = client.replica.reader, command.reject_unrecoverable
        of = (self._feed, self._channel, command.since, self._effect.grant, client.client_id)
        if command.since is None:
            return await reader.begin(*of, strict=strict)
        # Subscriptions that recover take turns: only one page waits for the client at any time.
        async with client.turn():
            await client.drained()
            return await reader.begin(*of, strict=strict)

    def reply_of(self, begun: Beginning) -> Subscribed:
        """Return what the client is told."""
        self._client.replica.chronicle.subscribed(self._client, self._name, self._effect.grant, begun)
        publications = begun.reply.publications
        if self._client.form.codec.is_json and any(event.flags & OPAQUE for _, event in publications):
            self._client.refuse_payload()
        effect = self._effect
        if not effect.data and effect.ttl_s is None:
            return begun.reply
        return begun.reply.with_terms(effect.data, effect.ttl_s)

    def welcome(self) -> None:
        """Its reply is on its way: tell it that it joined, then others; from now on it hears of others."""
        client, grant = self._client, self._effect.grant
        if self._joining.is_over():
            return
        if grant.hears:
            if grant.announces:
                client.send_push(Joined(self._name, info_of(client, grant.info)))
            self._channel.hear(client)
        if grant.announces:
            tell_joined(client, self._feed, self._name, grant)

    async def catch_up(self, begun: Beginning) -> None:
        """Bring it to the live stream."""
        await self._joining.catch_up(begun, lambda: self._client.insufficient(self._feed, self._name))

    def abandon(self) -> None:
        """Leave again: it could not begin."""
        take_leave(self._client, self._feed, self._name, self._effect.grant)


async def subscribe(client: Participant, effect: Join) -> None:
    """Carry out one subscribe."""
    if client.feed is not None and not client.connection.is_closed:
        await Entering(client, client.feed, effect).subscribe()


async def open_all(client: Participant, effect: Open) -> None:
    """Begin all server-side subscriptions of a new connection, then reply: with all of them, or with none."""
    feed, replica = client.feed, client.replica
    if feed is None or client.connection.is_closed:
        return
    entering = [Entering(client, feed, join) for join in effect.joins]
    room = Room(replica.settings.page_bytes_max)
    begun = await asyncio.gather(*(one.begin(room) for one in entering), return_exceptions=True)
    begun_well = [beginning for beginning in begun if isinstance(beginning, Beginning)]
    if len(begun_well) < len(entering):
        failure = next(one for one in begun if isinstance(one, BaseException))
        if not isinstance(failure, TidingsError | OSError):
            raise failure
        for one in entering:
            one.abandon()
        replica.chronicle.refused(client, "", known(failure).row.realtime)
        refusal = client.connection.refused(effect.id, known(failure), replica.clock.monotonic())
        client.run(refusal)
        replica.wheel.add(client)
        return
    subs = {
        join.command.channel: one.reply_of(beginning)
        for join, one, beginning in zip(effect.joins, entering, begun_well, strict=True)
    }
    client.run(client.connection.opened(effect.id, subs, at=replica.moment(), data=effect.data))
    replica.wheel.add(client)
    for one, beginning in zip(entering, begun_well, strict=True):
        one.welcome()
        client.spawn("catch_up", one.catch_up(beginning))
