"""The channels of one connection: what its client says of them and what the server wants, each in its turn.

What that comes to is decided beside this: how subscriptions begin (`core.connections.beginning`), are renewed
(`renewal`) and end (`ending`), and what becomes of all other commands (`requests`).

Part of the connection's state machine. Methods return effects; with a `Close`, which is always the last of
them, the connection is over, and nothing of this is asked any more.
"""

from collections.abc import Iterable

from core.auth.principal import Principal
from core.connections.admission import Asking, ServerSide, Terms
from core.connections.beginning import add, admit, begin_together, subscribe
from core.connections.codes import BAD_REQUEST, TOO_MANY_REQUESTS
from core.connections.effects import Close, Effect, Join, Send
from core.connections.ending import evict, evictions, expiries, unsubscribe
from core.connections.frames import ErrorReply, Publish, SubRefresh, Subscribe, Unsubscribe, Unsubscribed
from core.connections.lines import Add, ChannelCommand, ChannelOrder, Evict, Lines
from core.connections.moment import Moment
from core.connections.renewal import failure_of, renew, renewal_of
from core.connections.requests import Request, effect_of, refused
from core.connections.subscription import Grants
from core.connections.subscriptions import Subscriptions
from core.errors import Code, TidingsError


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

    __slots__ = ("_is_json", "_lines", "asking", "subscriptions")

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
        of_organization = asking.organization.channels.clients.channels_max
        self.subscriptions = Subscriptions(
            grants, channels_max=min(of_organization or channels_max, channels_max), grace_s=grace_s
        )
        self._lines = Lines(pending_commands_max)
        self._is_json = is_json

    def begin(self, found: list[ServerSide], at: Moment) -> tuple[Join, ...] | None:
        """Begin the server-side subscriptions of a new connection; None: they are too many."""
        return begin_together(self.subscriptions, found, at)

    def are_of(self, principal: Principal) -> bool:
        """Say whether a new token tells of the server-side subscriptions that are live, and of no others."""
        wanted, before = _channels_of(principal), _channels_of(self.asking.principal)
        live = {channel for channel in wanted | before if channel in self.subscriptions}
        return live == wanted

    # --- what the client says, and what the server wants

    def receive(self, command: ChannelCommand) -> list[Effect]:
        """Take a command: do it, or let it wait for those before it."""
        if type(command) is SubRefresh and not command.channel:
            return [renewal_of(self.subscriptions, command)]  # it is the token that names the channel
        if not self._lines.must_wait(command):
            return self._act(command)
        return [] if self._lines.wait(command) else [Close(BAD_REQUEST)]

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

    def _order(self, orders: Iterable[ChannelOrder]) -> list[Effect]:
        """Carry out what the server wants, in its turn; with a line that is full the client starts anew."""
        effects: list[Effect] = []
        for order in orders:
            if not self._lines.must_wait(order):
                effects += self._act(order)
            elif not self._lines.wait(order):
                return [*effects, Close(TOO_MANY_REQUESTS)]
        return effects

    # --- whose turn it is

    def _act(self, command: ChannelCommand | ChannelOrder) -> list[Effect]:
        match command:
            case Publish():  # first, since these are most
                return self._request(command)
            case Subscribe():
                return self._begun(command, [subscribe(self.subscriptions, self.asking, command)])
            case Unsubscribe():
                return self._begun(command, unsubscribe(self.subscriptions, command))
            case SubRefresh():
                return self._begun(command, [renewal_of(self.subscriptions, command)])
            case Evict():
                return evict(self.subscriptions, command)
            case Add():
                join = add(self.subscriptions, self.asking, command)
                return [] if join is None else self._begun(command, [join])
            case _:
                return self._request(command)

    def _request(self, command: Request) -> list[Effect]:
        effect = effect_of(
            self.asking,
            command,
            is_subscribed=self.subscriptions.grant(command.channel) is not None,
            is_json_given=self._is_json,
        )
        self._lines.begun(command.channel, effect)
        return [effect]

    def _begun(self, command: ChannelCommand | ChannelOrder, effects: list[Effect]) -> list[Effect]:
        self._lines.begun(command.channel, effects[-1])  # what others must do comes last
        return effects

    # --- what became of effects

    def admitted(self, command: Subscribe, terms: Terms | None, at: Moment) -> list[Effect]:
        """The token or the backend lets it subscribe; None: the token is another's, or another channel's."""
        return self._told(command, admit(self.subscriptions, self.asking, command, terms, at))

    def not_admitted(self, command: Subscribe, reply: ErrorReply) -> list[Effect]:
        """The token or the backend refused the subscription."""
        self.subscriptions.drop(command.channel)
        return self._told(command, Send(command.id, reply))

    def renewed(self, command: SubRefresh, terms: Terms | None, at: Moment) -> list[Effect]:
        """The subscription's new token was good; None: it is another's, or another channel's."""
        return self._told(command, renew(self.subscriptions, command, terms, at))

    def not_renewed(self, command: SubRefresh, error: TidingsError) -> list[Effect]:
        """The subscription's new token was refused."""
        return self._told(command, failure_of(command, error))

    def _told(self, command: Subscribe | SubRefresh, effect: Join | Send | Close) -> list[Effect]:
        """With an answer its channel is free; for a renewal without one nothing has waited."""
        return [effect, *self.finished(command.channel)] if type(effect) is Send else [effect]

    def left(self, id_: int, channel: str) -> list[Effect]:
        """Others know that the subscription ended."""
        return [Send(id_, Unsubscribed()), *self.finished(channel)]

    def join_failed(self, id_: int, channel: str, code: Code) -> list[Effect]:
        """The subscribe was refused by what was read, or could not be read."""
        self.subscriptions.drop(channel)
        answer: list[Effect] = [refused(id_, code)] if id_ else []
        return [*answer, *self.finished(channel)]

    def written(self, channel: str) -> list[Effect]:
        """A publish to a channel is answered: when it was the last on its way, what waited takes its turn."""
        return self.finished(channel) if self._lines.published(channel) else []

    def finished(self, channel: str) -> list[Effect]:
        """What held a channel is done: what waited for it takes its turn."""
        effects: list[Effect] = []
        for command in self._lines.turns(channel):
            effects += self._act(command)
            if effects and type(effects[-1]) is Close:
                break
        return effects


def _channels_of(principal: Principal) -> frozenset[str]:
    return frozenset(principal.subs or principal.channels)
