"""The clients of one replica, and the orders that are carried out on them."""

from collections.abc import Iterator
from dataclasses import replace
from typing import Final

import msgspec
import structlog

from core.auth.override import read_override
from core.auth.principal import Principal
from core.auth.revocation import Revocation
from core.connections.admission import Terms
from core.connections.codes import INVALID_TOKEN
from core.connections.frames import Subscribe as SubscribeCommand
from core.connections.moment import Moment
from core.connections.orders import (
    Disconnect,
    Order,
    Refresh,
    Revoke,
    Subscribe,
    Unsubscribe,
    Who,
    decode_order,
)
from core.errors import TidingsError
from core.instants import Instant, from_seconds
from core.ports import Clock
from core.streams.event import ClientInfo
from core.streams.position import Position
from gateway.realtime.client import Client
from gateway.realtime.feed import Feed
from gateway.realtime.participant import info_of
from gateway.realtime.presence import Member
from gateway.realtime.seats import Seats

TOGETHER: Final = 100
"""So many are told at once that the log broke."""
STEP_S: Final = 0.1
STEPS_MAX: Final = 50
"""The others are told in at most so many steps, that far apart."""


class Clients:
    """All of them, by their ids; those whose commands come by other requests by their sessions, too."""

    def __init__(self) -> None:
        self._clients: dict[str, Client] = {}
        self._sessions: dict[str, Client] = {}
        self._seats: dict[Feed, Seats[Client]] = {}
        self._contenders: set[str] = set()
        self._journal = structlog.get_logger()

    def __len__(self) -> int:
        return len(self._clients)

    def add(self, client: Client) -> None:
        """Take a new one in."""
        self._clients[client.client_id] = client
        if client.session:
            self._sessions[client.session] = client

    def remove(self, client: Client) -> None:
        """Forget one whose transport ended."""
        self._clients.pop(client.client_id, None)
        self._contenders.discard(client.client_id)
        if client.session:
            self._sessions.pop(client.session, None)

    def seat(self, client: Client, feed: Feed, user: str) -> None:
        """It is known whose it is; `unseat` it when it leaves the feed."""
        client.seat = user
        seats = self._seats.get(feed)
        if seats is None:
            seats = self._seats[feed] = Seats()
        seats.take(user, client)

    def unseat(self, client: Client, feed: Feed) -> None:
        """Orders of the organization are no longer for it."""
        seats = self._seats.get(feed)
        if seats is None:
            return
        seats.leave(client.seat, client)
        if not seats:
            del self._seats[feed]

    def contend(self, client_id: str) -> None:
        """A client wants to be its user's only one: until its order comes back, no such order ends it.

        One owner puts all of them in order, so that of those who come at once the last one stays.
        """
        self._contenders.add(client_id)

    def settled(self, client_id: str) -> None:
        """Its order came back, or never will."""
        self._contenders.discard(client_id)

    def all(self) -> list[Client]:
        """Return all of them."""
        return list(self._clients.values())

    def of_session(self, session: str) -> Client | None:
        """Return the client of a session, if it is connected here."""
        return self._sessions.get(session)

    def find(self, client_id: str) -> Client | None:
        """Return the client with an id, if it is connected here."""
        return self._clients.get(client_id)

    def of_feed(self, feed: Feed) -> list[Client]:
        """Return the connected clients of one organization."""
        return list(self._seats.get(feed, ()))

    def members(self) -> Iterator[Member]:
        """Yield who is present in which channel by way of this replica."""
        for client in self.all():
            feed = client.feed
            if feed is None:
                continue
            if client.counted:  # before it is let in, and so before it has a name in its connection
                yield Member(feed.organization_id, client.counted, ClientInfo(client.seat, client.client_id))
            for channel in client.connection.subscriptions or ():
                subscriptions = client.connection.subscriptions  # none, if it was refused meanwhile
                grant = None if subscriptions is None else subscriptions.grant(channel)
                if grant is not None and grant.presence:
                    yield Member(feed.organization_id, channel, info_of(client, grant.info))

    def broken(self, feed: Feed) -> None:
        """The log lost continuity, or a hole can't be filled: every subscriber of the feed is told.

        Spread over some seconds where they are many, since all of them come back and read; meanwhile nothing
        is written to them.
        """
        silenced = [(client, names) for client in self.of_feed(feed) if (names := client.silence(feed))]
        for client, names in silenced[:TOGETHER]:
            client.broken(feed, names)
        if rest := silenced[TOGETHER:]:
            replica = rest[0][0].replica
            replica.tasks.spawn("break", _tell_of_break(feed, rest, replica.clock))

    def ordered(self, feed: Feed, order: bytes) -> None:
        """Carry out an order about connections of the feed's organization."""
        try:
            self._carry_out(feed, decode_order(order))
        except (msgspec.DecodeError, TidingsError):
            self._journal.exception("order.unread")  # of a process of another version

    def _carry_out(self, feed: Feed, order: Order) -> None:
        newest = order.newest if isinstance(order, Disconnect) else ""
        self.settled(newest)
        for client in self._meant(feed, order.who):
            if newest and client.client_id in self._contenders:
                continue
            connection = client.connection
            match order:
                case Disconnect(code=code, reason=reason):
                    client.end(code, reason)
                case Unsubscribe():
                    client.evict(order.channel, order.code)
                case Subscribe():
                    self._subscribe(client, order)
                case Refresh():
                    self._refresh(client, order)
                case Revoke():
                    asking = connection.asking
                    if asking is not None and _is_revoked(asking.principal, order):
                        client.end(INVALID_TOKEN)

    def _meant(self, feed: Feed, who: Who) -> list[Client]:
        if who.client or who.session:
            one = self._clients.get(who.client) if who.client else self._sessions.get(who.session)
            found = [] if one is None or one.feed is not feed else [one]
        elif who.anybody:
            found = self.of_feed(feed)
        else:
            seats = self._seats.get(feed)
            found = [] if seats is None else seats.of(who.user)
        return [client for client in found if who.means(client.seat, client.client_id, client.session)]

    def _subscribe(self, client: Client, order: Subscribe) -> None:
        since = None if order.since_offset < 0 else Position(order.since_epoch, order.since_offset)
        ends = from_seconds(order.expire_at_s) if order.expire_at_s else None
        terms = Terms(order.channel, order.info, order.data, read_override(order.override), ends)
        command = SubscribeCommand(0, order.channel, since)
        moment = client.replica.moment()
        client.run(client.connection.of_channel(lambda members: members.added(command, terms, moment)))
        client.replica.wheel.add(client)

    def _refresh(self, client: Client, order: Refresh) -> None:
        asking = client.connection.asking
        if asking is None:
            return
        now = client.replica.moment()
        client.run(client.connection.prolonged(_changed(asking.principal, order, now), now))
        client.replica.wheel.add(client)


async def _tell_of_break(feed: Feed, silenced: list[tuple[Client, list[str]]], clock: Clock) -> None:
    step = max(TOGETHER, len(silenced) // STEPS_MAX + 1)
    for start in range(0, len(silenced), step):
        await clock.sleep(STEP_S)
        for client, names in silenced[start : start + step]:
            client.broken(feed, names)


def _is_revoked(principal: Principal, order: Revoke) -> bool:
    revocation = Revocation(order.who.user, from_seconds(order.before_s), order.token_id)
    return principal.kind == "user" and revocation.means(
        principal.id, principal.token_id, principal.issued_at
    )


def _changed(principal: Principal, order: Refresh, now: Moment) -> Principal | None:
    """Return the caller with its new expiry; None: it is over."""
    ends: Instant | None = from_seconds(order.expire_at_s) if order.expire_at_s else None
    if order.expired or (ends is not None and ends <= now.wall):
        return None
    return replace(principal, expires_at=ends, info=order.info or principal.info)
