"""What the single writer answers: in effect, without effect, or not known before the deadline."""

from typing import Literal

from core.streams.event import Wire

Effect = Literal["published", "created", "replaced", "patched", "unchanged", "deleted", "atomic", "claimed"]


class Committed(Wire, frozen=True, tag=0):
    """The write is durable and in the log, at organization `epoch` and `seq` and at channel `offsets`.

    `offsets` are in the order of the event's entries. `document` is the resource's public JSON after the
    write (b"" for a publication), or the note of a claim. `unchanged` and `claimed` have made no event: their
    `event_id` is b"", their `seq` the head at that moment, and the `offsets` of a publication are where its
    channel stands. `replayed` says that an earlier command with the same key had this effect. `items` holds
    the members of an atomic command.
    """

    effect: Effect
    event_id: bytes
    seq: int
    epoch: str
    created_at: int
    offsets: tuple[int, ...] = ()
    document: bytes = b""
    version: int = 0
    resource_id: bytes = b""
    replayed: bool = False
    items: tuple["Committed", ...] = ()


class FieldError(Wire, frozen=True):
    """One fault of one field: JSON Pointer as URI fragment, a field code of the contract, a sentence."""

    pointer: str
    code: str
    detail: str


class Refused(Wire, frozen=True, tag=1):
    """The write has had no effect and never will. `code` is a value of `core.errors.Code`."""

    code: str
    detail: str = ""
    errors: tuple[FieldError, ...] = ()
    version: int = 0
    """For `precondition_failed`: the version that the resource is at."""
    index: int = -1
    """For an atomic command: which item failed."""
    retry_after_s: int = 0
    replayed: bool = False
    event_id: bytes = b""
    """Of a replayed refusal: the command that was refused first, whose request its answer names."""


class Unknown(Wire, frozen=True, tag=2):
    """Nobody could tell before the deadline whether the write took effect; the same key settles it later."""

    detail: str = ""


Outcome = Committed | Refused | Unknown
