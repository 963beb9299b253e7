"""What an owner remembers of its partition between two batches.

Streams are all in memory from the take-over on; channels come in at their first use and leave when there
are too many. Only acknowledged batches change it, so it never holds a number that is not in the log.
"""

from collections import OrderedDict

from core.streams.append import Append, StreamState

ChannelKey = tuple[bytes, str]


class Memory:
    """Streams and channel heads of one partition.

    Args:
        channels_max: more channel heads than this are not kept; the least recently used leave first.
    """

    def __init__(self, streams: dict[bytes, StreamState], channels_max: int) -> None:
        self.streams = streams
        self._channels: OrderedDict[ChannelKey, int] = OrderedDict()
        self._channels_max = channels_max

    def offset_of(self, key: ChannelKey) -> int | None:
        """Return the last offset of a channel, or None when it must be read."""
        return self._channels.get(key)

    def commit(self, append: Append, streams: dict[bytes, StreamState]) -> None:
        """Take over what an acknowledged batch changed."""
        self.streams.update(streams)
        channels = self._channels
        for key, offset in append.channels.items():
            channels[key] = offset
            channels.move_to_end(key)
        while len(channels) > self._channels_max:
            channels.popitem(last=False)
