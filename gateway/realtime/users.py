"""How many connections a user has, on whatever replica: limited, or only one."""

from typing import Final

from core.auth.principal import Organization, Principal
from core.connections.codes import CONNECTION_LIMIT
from core.connections.orders import ORDER, Disconnect, Who, encode_order
from core.errors import TidingsError
from core.streams.command import Command, Publish
from core.streams.event import ClientInfo
from gateway.realtime.feed import Feed
from gateway.realtime.participant import Participant

AGAIN_S: Final = 0.2
"""Within which those who were too many at the same moment come again, each at a moment of its own."""
BACK_S: Final = 1.0
"""An order that is answered comes back before, or is lost."""
MARK: Final = "\x00user:"
"""Connections are counted where presence is kept, under names that no channel can have."""


async def admit_user(
    client: Participant, feed: Feed, principal: Principal, organization: Organization
) -> bool:
    """Count one more connection of a user; False: he may not have so many.

    Where there is to be only one, the others are ended. While the cache does not answer nobody is refused.
    """
    options = organization.channels.clients
    if principal.kind != "user" or not principal.id:
        return True
    personal = options.user_personal_channel
    if personal.enabled and personal.single_connection:
        client.replica.clients.contend(client.client_id)
        client.replica.tasks.spawn("end_others", _end_others(client, feed, principal.id))
    if not options.connections_per_user_max:
        return True
    if await _is_counted(client, feed, principal.id, options.connections_per_user_max):
        return True
    # Of several that come at once each has seen all the others: not one of them would get in.
    uncount(client, feed)
    await client.replica.clock.sleep(AGAIN_S * client.replica.entropy.jitter())
    if client.connection.is_closed:
        return False
    return await _is_counted(client, feed, principal.id, options.connections_per_user_max)


async def _is_counted(client: Participant, feed: Feed, user: str, most: int) -> bool:
    """Count a connection, and say whether there are no more than that now."""
    roster, organization_id, counted = client.replica.roster, feed.organization_id, f"{MARK}{user}"
    client.counted = counted
    await roster.enter(organization_id, counted, ClientInfo(user, client.client_id))
    try:
        count = await roster.count(organization_id, counted)
    except TidingsError:
        return True
    return count.clients <= most


async def _end_others(client: Participant, feed: Feed, user: str) -> None:
    replica, client_id = client.replica, client.client_id
    order = Disconnect(Who(user, spared=frozenset({client_id})), CONNECTION_LIMIT, newest=client_id)
    word = Publish(("",), encode_order(order), ephemeral=True, kind=ORDER)
    command = Command(feed.organization_id, replica.entropy.id(), word, replica.deadline_ms)
    await replica.writer.submit(command)
    await replica.clock.sleep(BACK_S)
    replica.clients.settled(client_id)


def uncount(client: Participant, feed: Feed) -> None:
    """A connection that was counted is over."""
    if client.counted:
        client.replica.roster.leave(feed.organization_id, client.counted, client.client_id)
        client.counted = ""
