"""How subscriptions end: their client leaves, the server wants it, or their token is over."""

from core.connections.codes import SUBSCRIPTION_EXPIRED, UNSUBSCRIBE_EXPIRED
from core.connections.effects import Close, Effect, Leave, Send, SendPush
from core.connections.frames import SubscriptionEnded, Unsubscribe, Unsubscribed
from core.connections.lines import Evict
from core.connections.subscriptions import Subscriptions


def unsubscribe(subscriptions: Subscriptions, command: Unsubscribe) -> list[Effect]:
    """End what a client leaves, and reply; where others must know it before, the `Leave` brings the reply."""
    grant = subscriptions.drop(command.channel)
    if grant is not None and grant.has_witnesses:
        return [Leave(command.channel, grant, command.id)]
    answer = Send(command.id, Unsubscribed())
    return [answer] if grant is None else [Leave(command.channel, grant), answer]


def evictions(subscriptions: Subscriptions, channel: str, code: int) -> list[Evict]:
    """Return what ends the subscription to a channel; with an empty channel all of them."""
    wanted = [channel] if channel else subscriptions
    return [Evict(name, code) for name in wanted if name in subscriptions]


def expiries(subscriptions: Subscriptions, now_s: float) -> list[Evict] | Close:
    """Return what ends those whose token is over, each once; a server-side one takes the connection along."""
    over = subscriptions.expired(now_s)
    grants = [subscriptions.grant(channel) for channel in over]
    if any(grant is not None and grant.is_server_side for grant in grants):
        return Close(SUBSCRIPTION_EXPIRED)
    return [Evict(channel, UNSUBSCRIBE_EXPIRED, if_over=True) for channel in over]


def evict(subscriptions: Subscriptions, order: Evict) -> list[Effect]:
    """End a subscription and say so to its client; nothing happens where it has ended already."""
    if order.if_over and not subscriptions.is_over(order.channel):
        return []
    grant = subscriptions.drop(order.channel)
    if grant is None:
        return []
    return [SendPush(SubscriptionEnded(order.channel, order.code)), Leave(order.channel, grant)]
