"""What a namespace shows of a channel's log.

The log keeps every stored publication for the whole retention. How much of it `history`, recovery and the
server API may see is for the channel's options to say: all, the newest few for some time, or nothing. What is
hidden stays in the log, and no hiding moves the channel's newest offset or its epoch.
"""

from dataclasses import dataclass

from core.channels.namespace import Options


@dataclass(frozen=True, slots=True)
class Stored:
    """What the log holds of a channel.

    Attributes:
        first_offset: the oldest offset that can be read; `last_offset + 1` when none can.
        last_offset: the newest offset, 0 when nothing was ever published.
        removed_offset: what stands at or below it was removed from sight.
        age_s: how long ago the newest publication came; None when none can be read.
    """

    first_offset: int
    last_offset: int
    removed_offset: int = 0
    age_s: float | None = None


@dataclass(frozen=True, slots=True)
class Visible:
    """The offsets that can be seen; `first_offset` is `last_offset + 1` when none can.

    `last_offset` is the channel's newest in any case.
    """

    first_offset: int
    last_offset: int

    @property
    def count(self) -> int:
        """How many publications can be seen."""
        return self.last_offset - self.first_offset + 1


def visible(options: Options, stored: Stored) -> Visible:
    """Return what a channel with these options shows of what is stored.

    In a window each publication renews the time of all the others in it.
    """
    last = stored.last_offset
    if options.history == "off" or _has_passed(options, stored):
        return Visible(last + 1, last)
    first = max(stored.first_offset, stored.removed_offset + 1)
    if options.history == "window":
        first = max(first, last + 1 - options.history_size)
    # What was removed may lie above the head that the caller reads up to.
    return Visible(min(first, last + 1), last)


def _has_passed(options: Options, stored: Stored) -> bool:
    if options.history != "window" or stored.age_s is None:
        return False
    return stored.age_s >= options.history_ttl_s
