"""What is said on a link: a frame is a list of messages, each a tagged array of msgpack.

Fields are only added at the end, with a default, so that two releases understand each other during an
upgrade.
"""

from typing import Final

import msgspec

from core.streams.command import Command
from core.streams.event import EphemeralPublication, Head, LiveBatch, Wire
from core.streams.outcome import Outcome

ANSWER_OVERHEAD_BYTES: Final = 256
"""What a message weighs besides its payload, in the counts of outstanding bytes."""


class Submit(Wire, frozen=True, tag=0):
    """Run one command; answered by `Answer` of the same number."""

    number: int
    command: Command


class Watch(Wire, frozen=True, tag=1):
    """Send this organization's live events from now on: first `Announced`, then `Live`."""

    organization_id: bytes


class Unwatch(Wire, frozen=True, tag=2):
    """Send them no more."""

    organization_id: bytes


class AskHead(Wire, frozen=True, tag=3):
    """Confirm the announced head; answered by `HeadIs` or `Failed` of the same number."""

    number: int
    organization_id: bytes


class Find(Wire, frozen=True, tag=4):
    """Tell what became of a command (rule R13); answered by `Found` or `Failed` of the same number."""

    number: int
    organization_id: bytes
    event_id: bytes


class Suspect(Wire, frozen=True, tag=5):
    """A partition's owner under this epoch refuses connections: take it over. Not answered."""

    partition_id: int
    epoch: int


FromCaller = Submit | Watch | Unwatch | AskHead | Find | Suspect


class Answer(Wire, frozen=True, tag=0):
    """The outcome of a command."""

    number: int
    outcome: Outcome


class Found(Wire, frozen=True, tag=1):
    """What became of a command; None: it is surely not in the log and never will be."""

    number: int
    outcome: Outcome | None


class HeadIs(Wire, frozen=True, tag=2):
    """A head that covers everything acknowledged before it was asked for."""

    number: int
    head: Head


class Failed(Wire, frozen=True, tag=3):
    """A question that could not be answered; `code` is a value of `core.errors.Code`."""

    number: int
    code: str
    detail: str


class Live(Wire, frozen=True, tag=4):
    """Events that one commit made durable."""

    batch: LiveBatch


class Announced(Wire, frozen=True, tag=5):
    """The announced head of a watched organization."""

    head: Head


class Ephemeral(Wire, frozen=True, tag=6):
    """A publication that is not in the log."""

    publication: EphemeralPublication


class Moving(Wire, frozen=True, tag=7):
    """Partitions leave this owner: read the routes again."""


FromOwner = Answer | Found | HeadIs | Failed | Live | Announced | Ephemeral | Moving

ENCODER: Final = msgspec.msgpack.Encoder()
CALLER_FRAMES: Final = msgspec.msgpack.Decoder(list[FromCaller])
OWNER_FRAMES: Final = msgspec.msgpack.Decoder(list[FromOwner])
