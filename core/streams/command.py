"""What a gateway asks of an organization's single writer.

Like events these structs cross process borders on links: fields are only added at the end, with a default.
"""

from typing import Final

from core.streams.event import ClientInfo, Wire


class Publish(Wire, frozen=True, tag_field="operation", tag=0):
    """Append one publication to each of `channels` (1 to 1,000, distinct): one event with several entries.

    An ephemeral one is passed on and not stored; `kind` is that of `EphemeralPublication`, `flags` are
    those of `Event`. With a `version`, which is for one channel alone, it has no effect (`unchanged`) unless
    that is above the last one of the same `version_epoch` there.
    """

    channels: tuple[str, ...]
    data: bytes
    info: ClientInfo | None = None
    tags: dict[str, str] | None = None
    ephemeral: bool = False
    kind: str = ""
    flags: int = 0
    version: int = 0
    version_epoch: str = ""


ENTRY_BYTES: Final = 64
"""What each channel of a publication costs besides its name."""


def size_of_publication(publish: Publish) -> int:
    """Return about how many bytes a publication holds: an estimate that bounds memory and frames."""
    size = len(publish.data) + ENTRY_BYTES * len(publish.channels) + sum(map(len, publish.channels))
    if (info := publish.info) is not None:
        size += len(info.user) + len(info.client) + len(info.connection_info) + len(info.channel_info)
    if publish.tags:
        size += sum(len(name) + len(value) for name, value in publish.tags.items())
    return size


class Target(Wire, frozen=True):
    """Names a resource: by `id` (16 bytes), or when that is empty by its `external_id`."""

    type: str
    id: bytes = b""
    external_id: str = ""


class Condition(Wire, frozen=True):
    """`If-Match` and `If-None-Match` of a write. `if_match`: a version, 0 for none given, -1 for `*`."""

    if_match: int = 0
    must_not_exist: bool = False


class Create(Wire, frozen=True, tag_field="operation", tag=1):
    """Create a resource. `document` is JSON: the type's own fields plus `metadata`, already validated."""

    type: str
    id: bytes
    document: bytes
    external_id: str = ""


class Put(Wire, frozen=True, tag_field="operation", tag=2):
    """Create or replace the resource named by `target`; `new_id` is its id when it does not exist yet."""

    target: Target
    new_id: bytes
    document: bytes
    condition: Condition = Condition()


class Patch(Wire, frozen=True, tag_field="operation", tag=3):
    """Apply an RFC 7396 merge patch; the result is validated by the writer."""

    target: Target
    patch: bytes
    condition: Condition = Condition()


class Delete(Wire, frozen=True, tag_field="operation", tag=4):
    """Delete a resource that nothing refers to (or whose referrers the schema lets go)."""

    target: Target
    condition: Condition = Condition()


Change = Publish | Create | Put | Patch | Delete


class Item(Wire, frozen=True):
    """One member of an atomic command, with the event id that its effect will bear."""

    event_id: bytes
    change: Change


class Atomic(Wire, frozen=True, tag_field="operation", tag=5):
    """Several changes in one transaction: all take effect, or the first that fails refuses all."""

    items: tuple[Item, ...]


class Claim(Wire, frozen=True, tag_field="operation", tag=6):
    """Use up the command's key, and change nothing.

    A request with several commands claims its key first: what each of them does stands under a key of its
    own, and only this one says that the request as a whole is the same. `note` is for one whose effect
    is kept outside of the log: each repeat gets that of the first as its `document`. A question uses nothing
    up: it is for a request that is not valid any more, and may have been; without an answer under its key it
    is refused as not valid.
    """

    note: bytes = b""
    is_question: bool = False


Operation = Publish | Create | Put | Patch | Delete | Atomic | Claim


class Command(Wire, frozen=True):
    """One write, as a gateway hands it to the organization's single writer.

    `event_id` is chosen by the gateway and names the command's effect in the log: it settles what happened
    when an answer is lost (R13). `key` is the caller's idempotency key ("" = none), scoped to the
    organization; `fingerprint` the SHA-256 of the request that it stood on. `left_ms` is how long the
    caller will still wait: no wall clock crosses a border.
    """

    organization_id: bytes
    event_id: bytes
    operation: Operation
    left_ms: int
    key: str = ""
    fingerprint: bytes = b""
    actor: str = ""
    trace_id: bytes = b""
