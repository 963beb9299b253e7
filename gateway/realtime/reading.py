"""The history of a channel, as its namespace shows it to those who speak the protocol."""

from hashlib import sha256

from adapters.postgres.channels import OFFSET_MAX
from core.channels.namespace import Options
from core.connections.frames import History, HistoryPage
from core.errors import Code, TidingsError
from gateway.realtime.feed import Feed
from gateway.realtime.parts import Replica
from gateway.realtime.subscribing import fit, offset_in


def fingerprint_of(channel: str, data: bytes) -> bytes:
    """Return what a publish over a socket is compared by when its key is used again."""
    name = channel.encode()
    return sha256(b"socket-publish" + len(name).to_bytes(2, "big") + name + data).digest()


def backend_key(channel: str, key: str) -> str:
    """Return the key under which the log keeps the answer to a publish whose key a backend gave.

    That may be any text. The space keeps it apart from every key that a client can send.
    """
    if not key:
        return ""
    name = channel.encode()
    return f" backend {sha256(len(name).to_bytes(2, 'big') + name + key.encode()).hexdigest()}"


async def read_history(
    replica: Replica, feed: Feed, command: History, options: Options | None
) -> HistoryPage:
    """Return a page of history that counts everything acknowledged before the command arrived.

    Raises:
        TidingsError: `unknown_channel`; `unrecoverable_position`, the position is of another epoch; no owner
            answers.
    """
    if options is None:
        raise TidingsError(Code.UNKNOWN_CHANNEL)
    head = await feed.fresh_head()
    since = command.since
    if since is not None and since.epoch not in ("", head.epoch):
        raise TidingsError(Code.UNRECOVERABLE_POSITION)
    channels, organization_id = replica.channels, feed.organization_id
    seen = await channels.visible(organization_id, command.channel, options, up_to_seq=head.seq)
    history_max = replica.settings.history_max
    limit = history_max if command.limit < 0 else min(command.limit, history_max)
    if not limit or not seen.count:
        return HistoryPage(head.epoch, seen.last_offset, [])
    # A page may be shorter than asked for: who wants more goes on after its last publication.
    bytes_max = replica.settings.page_bytes_max
    after = 0 if since is None or command.reverse else since.number
    page = await channels.page(
        organization_id,
        command.channel,
        after_offset=max(after, seen.first_offset - 1),
        before_offset=since.number if since is not None and command.reverse else OFFSET_MAX,
        up_to_seq=head.seq,
        limit=limit,
        bytes_max=bytes_max,
        reverse=command.reverse,
    )
    found = [(offset_in(event, command.channel), event) for event in page.events]
    publications = [one for one in found if one[0] >= seen.first_offset]
    return HistoryPage(head.epoch, seen.last_offset, publications[: fit(publications, limit, bytes_max)])
