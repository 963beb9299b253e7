"""What names one channel takes effect in the order received; other channels are not held up.

While something of a channel is under way that must not be overtaken, everything for it waits in a line.
Publishes go on together, and what is no publish waits for those before it.
"""

from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass

from core.connections.admission import Terms
from core.connections.effects import Close, Effect, Send, Write
from core.connections.frames import (
    History,
    Presence,
    PresenceStats,
    Publish,
    SubRefresh,
    Subscribe,
    Unsubscribe,
)


@dataclass(frozen=True, slots=True)
class Evict:
    """The server ends a subscription, in its turn; `if_over`: unless it was renewed before."""

    channel: str
    code: int
    if_over: bool = False


@dataclass(frozen=True, slots=True)
class Add:
    """The server adds a subscription, in its turn; `ends_s`: its end on the monotonic clock."""

    command: Subscribe
    terms: Terms
    ends_s: float | None = None

    @property
    def channel(self) -> str:
        """The channel."""
        return self.command.channel


ChannelOrder = Evict | Add
ChannelCommand = Subscribe | Unsubscribe | Publish | History | Presence | PresenceStats | SubRefresh
Line = deque[ChannelCommand | ChannelOrder]


class Lines:
    """The lines of one connection: none at all while nothing waits, since thousands of idle clients have one.

    Args:
        waiting_max: commands in one line.
    """

    __slots__ = ("_busy", "_waiting_max", "_writing")

    def __init__(self, waiting_max: int) -> None:
        self._waiting_max = waiting_max
        self._busy: dict[str, Line] | None = None
        self._writing: dict[str, int] | None = None

    def must_wait(self, command: ChannelCommand | ChannelOrder) -> bool:
        """Say whether something is under way that the command must not overtake."""
        channel = command.channel
        if self._busy is not None and channel in self._busy:
            return True
        return self._writing is not None and channel in self._writing and type(command) is not Publish

    def wait(self, command: ChannelCommand | ChannelOrder) -> bool:
        """Put a command at the end of its line; False: the line is full."""
        line = self._line(command.channel)
        if len(line) >= self._waiting_max:
            return False
        line.append(command)
        return True

    def begun(self, channel: str, effect: Effect) -> None:
        """Let wait what must not overtake an effect; an answer is done at once, and the end has no after.

        Once it is known what came of it, call `published` for a publish, and take the `turns` for all else.
        """
        if type(effect) is Write:
            if self._writing is None:
                self._writing = {}
            self._writing[channel] = self._writing.get(channel, 0) + 1
            is_held = effect.ask_backend  # whose answers overtake each other
        else:
            is_held = not isinstance(effect, Send | Close)  # what is read shows nothing of what comes later
        if is_held:
            self._line(channel)

    def published(self, channel: str) -> bool:
        """A publish is answered; True: it was the last on its way, and the turns may be taken."""
        writing = self._writing
        assert writing is not None  # noqa: S101 (set by `begun`)
        writing[channel] -= 1
        if writing[channel]:
            return False
        del writing[channel]
        self._writing = writing or None
        return True

    def turns(self, channel: str) -> Iterator[ChannelCommand | ChannelOrder]:
        """Release a channel and yield what waited for it, one at a time, each to be done before the next.

        As soon as something is under way anew, the rest waits on behind it.
        """
        line = None if self._busy is None else self._busy.pop(channel, None)
        self._busy = self._busy or None
        while line:
            if self.must_wait(line[0]):
                self._line(channel).extend(line)
                return
            yield line.popleft()

    def _line(self, channel: str) -> Line:
        if self._busy is None:
            self._busy = {}
        return self._busy.setdefault(channel, deque())
