"""The end of subscriptions, and word of who comes and goes."""

import asyncio
from collections.abc import Awaitable

from core.connections.orders import JOINED, LEFT
from core.connections.subscription import Grant
from core.streams.command import Command, Publish
from core.streams.event import ClientInfo
from gateway.realtime.feed import Feed
from gateway.realtime.participant import Participant, info_of
from gateway.realtime.parts import Replica
from gateway.realtime.users import uncount


def announce(replica: Replica, organization_id: bytes, channel: str, kind: str, info: ClientInfo) -> None:
    """Tell all replicas who joined or left a channel: at most once, in the order of the calls."""
    word = Publish((channel,), b"", info, ephemeral=True, kind=kind)
    replica.submit(Command(organization_id, replica.entropy.id(), word, replica.deadline_ms))


def tell_joined(client: Participant, feed: Feed, channel: str, grant: Grant) -> None:
    """Tell others that a client has joined; once a subscription."""
    if client.told is None:
        client.told = set()
    client.told.add(channel)
    announce(client.replica, feed.organization_id, channel, JOINED, info_of(client, grant.info))


def take_leave(client: Participant, feed: Feed, channel: str, grant: Grant) -> asyncio.Task[None] | None:
    """End what a client has in a channel here.

    Where others must know it, return what is done when they do.
    """
    here = feed.channels.get(channel)
    if here is not None:
        here.leave(client)
        feed.leave(here)
    if not grant.has_witnesses:
        return None
    was_told = client.told is not None and channel in client.told
    if client.told is not None:
        client.told.discard(channel)
    replica, info = client.replica, info_of(client, grant.info)
    gone = None
    if grant.presence:
        gone = replica.roster.leave(feed.organization_id, channel, info.client)
    left = info if was_told else None
    return replica.tasks.spawn("leave", _leave(replica, feed.organization_id, channel, gone, left))


async def _leave(
    replica: Replica,
    organization_id: bytes,
    channel: str,
    gone: Awaitable[None] | None,
    left: ClientInfo | None,
) -> None:
    if gone is not None:
        await gone
    if left is not None:
        announce(replica, organization_id, channel, LEFT, left)


def leave_all(client: Participant) -> None:
    """End everything that a client has here."""
    feed, client.feed = client.feed, None
    if feed is None:
        return
    subscriptions = client.connection.subscriptions
    for name in subscriptions or ():
        grant = subscriptions.drop(name) if subscriptions is not None else None
        if grant is not None:
            take_leave(client, feed, name, grant)
    client.replica.clients.unseat(client, feed)
    uncount(client, feed)
    client.replica.admission.release_connect(feed.organization_id)
    client.replica.hub.leave(feed)
