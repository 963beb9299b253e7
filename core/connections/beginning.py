"""How subscriptions begin: their client may have them, others admit them, or the server adds them."""

from core.connections.admission import (
    Asking,
    ServerSide,
    Terms,
    admission_of,
    grant_of_addition,
    grant_of_terms,
)
from core.connections.codes import INVALID_TOKEN
from core.connections.effects import Admit, Close, Join, Send
from core.connections.frames import Subscribe
from core.connections.lines import Add
from core.connections.moment import Moment
from core.connections.requests import refused
from core.connections.subscriptions import Subscriptions
from core.errors import Code


def begin_together(
    subscriptions: Subscriptions, found: list[ServerSide], at: Moment
) -> tuple[Join, ...] | None:
    """Begin the server-side subscriptions of a new connection; None: they are too many."""
    if len(found) > subscriptions.channels_max:
        return None
    joins = []
    for one in found:
        grant = subscriptions.begin(one.command.channel, one.grant, at.until(one.expires_at)[0])
        joins.append(Join(one.command, grant, one.data))
    return tuple(joins)


def subscribe(subscriptions: Subscriptions, asking: Asking, command: Subscribe) -> Join | Admit | Send:
    """Begin what a client wishes, hold a place for it while others decide, or refuse it."""
    channel = command.channel
    if channel in subscriptions:
        return refused(command.id, Code.ALREADY_SUBSCRIBED, channel)
    if subscriptions.are_full:
        return refused(command.id, Code.LIMIT_EXCEEDED, channel)
    admission = admission_of(asking, command)
    if isinstance(admission, Code):
        return refused(command.id, admission, channel)
    if isinstance(admission, Admit):
        subscriptions.reserve(channel)
        return admission
    return Join(command, subscriptions.begin(channel, admission))


def admit(
    subscriptions: Subscriptions, asking: Asking, command: Subscribe, terms: Terms | None, at: Moment
) -> Join | Send | Close:
    """Begin what others have admitted; None: its token is another's, or another channel's."""
    if terms is None:
        return Close(INVALID_TOKEN)
    channel, options = command.channel, asking.options_of(command.channel)
    if options is None:  # it went away meanwhile
        subscriptions.drop(channel)
        return refused(command.id, Code.UNKNOWN_CHANNEL)
    ends_s, ttl_s = at.until(terms.expires_at)
    grant = subscriptions.begin(channel, grant_of_terms(asking, command, options, terms), ends_s)
    return Join(command, grant, terms.data, ttl_s if terms.is_refreshable else None)


def add(subscriptions: Subscriptions, asking: Asking, order: Add) -> Join | None:
    """Begin what the server adds; None: there is a subscription already, no place, or no such channel."""
    if order.channel in subscriptions or subscriptions.are_full:
        return None
    grant = grant_of_addition(asking, order.command, order.terms)
    if grant is None:
        return None
    return Join(order.command, subscriptions.begin(order.channel, grant, order.ends_s), order.terms.data)
