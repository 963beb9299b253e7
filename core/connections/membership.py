"""The channels of one connection: its subscriptions, and what its commands on them come to.

Part of the connection's state machine. Methods return effects; with a `Close`, which is always the last of
them, the connection is over, and nothing of this is asked any more.
"""

from collections.abc import Iterable

from core.auth.principal import Principal
from core.connections.admission import (
    Asking,
    ServerSide,
    Terms,
    admission_of,
    grant_of_addition,
    grant_of_terms,
)
from core.connections.codes import (
    BAD_REQUEST,
    INVALID_TOKEN,
    TOO_MANY_REQUESTS,
)
from core.connections.effects import (
    Admit,
    Close,
    Effect,
    Join,
    Leave,
    Renew,
    Send,
    Write,
)
from core.connections.eviction import evict, evictions, expiries
from core.connections.frames import (
    ErrorReply,
    Publish,
    SubRefresh,
    Subscribe,
    Unsubscribe,
    Unsubscribed,
)
from core.connections.lines import Add, ChannelCommand, ChannelOrder, Evict, Lines
from core.connections.moment import Moment
from core.connections.renewal import failure_of, renew, renewal_of
from core.connections.requests import Request, effect_of, refused
from core.connections.subscription import Grant, Grants
from core.connections.subscriptions import Subscriptions
from core.errors import REGISTRY, Code, TidingsError


class Membership:
    """What one connection has to do with channels.

    Args:
        asking: who it is; known once it is authenticated.
        grants: shared by the clients of this process.
        channels_max: of this installation.
        pending_commands_max: that may wait for one channel.
        grace_s: how long a subscription lives past its token.
        is_json: payloads of this client can't be but JSON.
    """

    __slots__ = ("_channels_max", "_grants", "_is_json", "_lines", "asking", "subscriptions")

    def __init__(
        self,
        asking: Asking,
        grants: Grants,
        *,
        channels_max: int,
        pending_commands_max: int,
        grace_s: float,
        is_json: bool,
    ) -> None:
        self.asking = asking
        self._grants = grants
        of_organization = asking.organization.channels.clients.channels_max
        self._channels_max = min(of_organization or channels_max, channels_max)
        self._lines = Lines(pending_commands_max)
        self._is_json = is_json
        self.subscriptions = Subscriptions(grace_s)

    def begin(self, found: list[ServerSide], at: Moment) -> tuple[Join, ...] | None:
        """Begin the server-side subscriptions of a new connection; None: they are too many."""
        if len(found) > self._channels_max:
            return None
        return tuple(
            self._begin(one.command, one.grant, ends_s=at.until(one.expires_at)[0], data=one.data)
            for one in found
        )

    def are_of(self, principal: Principal) -> bool:
        """Say whether a new token tells of the server-side subscriptions that are live, and of no others."""
        wanted, before = _channels_of(principal), _channels_of(self.asking.principal)
        live = {channel for channel in wanted | before if channel in self.subscriptions}
        return live == wanted

    def receive(self, command: ChannelCommand) -> list[Effect]:
        """Take a command: do it, or let it wait for those before it."""
        if type(command) is SubRefresh and not command.channel:
            return self._renew(command)  # it is the token that names the channel
        if not self._lines.must_wait(command):
            return self._act(command)
        return [] if self._lines.wait(command) else [Close(BAD_REQUEST)]

    def _order(self, orders: Iterable[ChannelOrder]) -> list[Effect]:
        """Carry out what the server wants, in its turn; with a line that is full the client starts anew."""
        effects: list[Effect] = []
        for order in orders:
            if not self._lines.must_wait(order):
                effects += self._act(order)
            elif not self._lines.wait(order):
                return [*effects, Close(TOO_MANY_REQUESTS)]
        return effects

    def _act(self, command: ChannelCommand | ChannelOrder) -> list[Effect]:
        match command:
            case Publish():  # first, since these are most
                return self._request(command)
            case Subscribe():
                return self._subscribe(command)
            case Unsubscribe():
                return self._unsubscribe(command)
            case SubRefresh():
                return self._renew(command)
            case Evict():
                return evict(self.subscriptions, command)
            case Add():
                return self._add(command)
            case _:
                return self._request(command)

    def _request(self, command: Request) -> list[Effect]:
        effect = effect_of(
            self.asking,
            command,
            is_subscribed=self.subscriptions.grant(command.channel) is not None,
            is_json_given=self._is_json,
        )
        if isinstance(effect, Write):
            self._lines.publishing(command.channel)
            if effect.ask_backend:
                self._lines.hold(command.channel)  # answers of a backend overtake each other
        elif not isinstance(effect, Send):
            self._lines.hold(command.channel)  # what is read shows nothing of what comes later
        return [effect]

    def _subscribe(self, command: Subscribe) -> list[Effect]:
        channel = command.channel
        if channel in self.subscriptions:
            return [refused(command.id, Code.ALREADY_SUBSCRIBED, channel)]
        if self._is_full:
            return [refused(command.id, Code.LIMIT_EXCEEDED, channel)]
        admission = admission_of(self.asking, command)
        if isinstance(admission, Code):
            return [refused(command.id, admission, channel)]
        self._lines.hold(channel)
        if isinstance(admission, Admit):
            self.subscriptions.reserve(channel)
            return [admission]
        return [self._begin(command, admission)]

    def _add(self, order: Add) -> list[Effect]:
        if order.channel in self.subscriptions or self._is_full:
            return []
        grant = grant_of_addition(self.asking, order.command, order.terms)
        if grant is None:
            return []
        self._lines.hold(order.channel)
        return [self._begin(order.command, grant, ends_s=order.ends_s, data=order.terms.data)]

    def _begin(
        self,
        command: Subscribe,
        grant: Grant,
        *,
        ends_s: float | None = None,
        data: bytes = b"",
        ttl_s: int | None = None,
    ) -> Join:
        shared = self._grants.shared(grant)
        self.subscriptions.begin(command.channel, shared, ends_s)
        return Join(command, shared, data, ttl_s)

    @property
    def _is_full(self) -> bool:
        return len(self.subscriptions) >= self._channels_max

    def _unsubscribe(self, command: Unsubscribe) -> list[Effect]:
        grant = self.subscriptions.drop(command.channel)
        if grant is None:
            return [Send(command.id, Unsubscribed())]
        if not grant.has_witnesses:
            return [Leave(command.channel, grant), Send(command.id, Unsubscribed())]
        self._lines.hold(command.channel)
        return [Leave(command.channel, grant, command.id)]

    def _renew(self, command: SubRefresh) -> list[Effect]:
        effect = renewal_of(self.subscriptions, command)
        if type(effect) is Renew and command.channel:
            self._lines.hold(command.channel)
        return [effect]

    def admitted(self, command: Subscribe, terms: Terms | None, at: Moment) -> list[Effect]:
        """The token or the backend lets it subscribe; None: the token is another's, or another channel's."""
        if terms is None:
            return [Close(INVALID_TOKEN)]
        asking = self.asking
        options = asking.options_of(command.channel)
        if options is None:
            return self.not_admitted(command, ErrorReply(REGISTRY[Code.UNKNOWN_CHANNEL].realtime))
        grant = grant_of_terms(asking, command, options, terms)
        ends_s, ttl_s = at.until(terms.expires_at)
        told_s = ttl_s if terms.is_refreshable else None
        return [self._begin(command, grant, ends_s=ends_s, data=terms.data, ttl_s=told_s)]

    def not_admitted(self, command: Subscribe, reply: ErrorReply) -> list[Effect]:
        """The token or the backend refused the subscription."""
        self.subscriptions.drop(command.channel)
        return [Send(command.id, reply), *self.finished(command.channel)]

    def renewed(self, command: SubRefresh, terms: Terms | None, at: Moment) -> list[Effect]:
        """The subscription's new token was good; None: it is another's, or another channel's."""
        return self._answered(command, renew(self.subscriptions, command, terms, at))

    def not_renewed(self, command: SubRefresh, error: TidingsError) -> list[Effect]:
        """The subscription's new token was refused."""
        return self._answered(command, failure_of(command, error))

    def _answered(self, command: SubRefresh, answer: Send | Close) -> list[Effect]:
        if type(answer) is Close or not command.channel:
            return [answer]
        return [answer, *self.finished(command.channel)]

    def finished(self, channel: str) -> list[Effect]:
        """What held a channel is done: what waited for it takes its turn."""
        effects: list[Effect] = []
        line = self._lines.take(channel)
        while line and not (effects and type(effects[-1]) is Close):
            if self._lines.must_wait(line[0]):
                self._lines.back(channel, line)  # something has begun anew: the rest goes on waiting
                return effects
            effects += self._act(line.popleft())
        return effects

    def written(self, channel: str) -> list[Effect]:
        """A publish to a channel is answered: when it was the last on its way, what waited takes its turn."""
        return self.finished(channel) if self._lines.published(channel) else []

    def left(self, id_: int, channel: str) -> list[Effect]:
        """Others know that the subscription ended."""
        return [Send(id_, Unsubscribed()), *self.finished(channel)]

    def join_failed(self, id_: int, channel: str, code: Code) -> list[Effect]:
        """The subscribe was refused by what was read, or could not be read."""
        self.subscriptions.drop(channel)
        answer: list[Effect] = [refused(id_, code)] if id_ else []
        return [*answer, *self.finished(channel)]

    def evicted(self, channel: str, code: int) -> list[Effect]:
        """End the subscription to a channel; with an empty channel all of them."""
        return self._order(evictions(self.subscriptions, channel, code))

    def added(self, command: Subscribe, terms: Terms, at: Moment) -> list[Effect]:
        """Subscribe from the server's side; nothing happens where there is a subscription already."""
        return self._order([Add(command, terms, at.until(terms.expires_at)[0])])

    def expire(self, now_s: float) -> list[Effect]:
        """End the subscriptions whose token is over; a server-side one takes the connection along."""
        over = expiries(self.subscriptions, now_s)
        return [over] if isinstance(over, Close) else self._order(over)


def _channels_of(principal: Principal) -> frozenset[str]:
    return frozenset(principal.subs or principal.channels)
