"""Commands on a channel that leave its subscription as it is: what becomes of them."""

from core.auth.access import (
    refusal_of_data,
    refusal_to_publish,
    refusal_to_read_history,
    refusal_to_see_presence,
)
from core.channels.namespace import Options
from core.connections.admission import Asking
from core.connections.codes import BAD_REQUEST
from core.connections.effects import Close, Read, See, Send, Write
from core.connections.frames import ErrorReply, History, Presence, PresenceStats, Publish, Unserved
from core.errors import REGISTRY, Code
from core.streams.event_object import is_json
from core.streams.idempotency import is_key

Request = Publish | History | Presence | PresenceStats

_MAP_REFUSED = 103
_UNSERVED = 108


def refused(id_: int, code: Code, channel: str = "") -> Send:
    """Return the error reply of a refusal; with a `channel`, of the subscribe to it."""
    return Send(id_, ErrorReply(REGISTRY[code].realtime), channel)


def refusal_of_unserved(command: Unserved) -> Send | Close:
    """Return what answers a command of the protocol that is not served; a client's ping is a violation."""
    if command.method == "ping":
        return Close(BAD_REQUEST)
    return Send(command.id, ErrorReply(_MAP_REFUSED if command.method == "map" else _UNSERVED))


def effect_of(
    asking: Asking, command: Request, *, is_subscribed: bool, is_json_given: bool
) -> Write | Read | See | Send:
    """Return what to do about a request: do it, or refuse it.

    `is_json_given`: payloads of this client can't be but JSON.
    """
    who = (asking.principal, asking.organization, command.channel, asking.types)
    match command:
        case Publish():
            return _publish(asking, command, is_subscribed=is_subscribed, is_json_given=is_json_given)
        case History():
            refusal = refusal_to_read_history(*who, is_subscribed=is_subscribed)
            since = command.since
            if refusal is None and command.reverse and since is not None and not since.number:
                refusal = Code.VALIDATION_FAILED
            return Read(command) if refusal is None else refused(command.id, refusal)
        case _:
            refusal = refusal_to_see_presence(*who, is_subscribed=is_subscribed)
            return See(command) if refusal is None else refused(command.id, refusal)


def _publish(asking: Asking, command: Publish, *, is_subscribed: bool, is_json_given: bool) -> Write | Send:
    who = (asking.principal, asking.organization, command.channel, asking.types)
    options = asking.options_of(command.channel)
    refusal = refusal_to_publish(*who, is_subscribed=is_subscribed)
    if options is None:
        return refused(command.id, Code.UNKNOWN_CHANNEL)
    asks_backend = options.publish_proxy and asking.principal.kind != "key"
    if refusal is Code.PERMISSION_DENIED and asks_backend:
        refusal = None  # it is the backend that decides
    if refusal in (None, Code.PERMISSION_DENIED) and _is_bad(options, command, is_json_given=is_json_given):
        refusal = Code.VALIDATION_FAILED  # a bad request, to whomever
    if refusal is not None:
        return refused(command.id, refusal)
    return Write(
        command,
        ask_backend=asks_backend,
        is_ephemeral=options.ephemeral,
        is_opaque=_is_opaque(options, command, is_json_given=is_json_given),
    )


def _is_opaque(options: Options, command: Publish, *, is_json_given: bool) -> bool:
    if options.publication_data_format in ("json", "json_object"):
        return False
    # Even a frame of JSON may bring no data at all, where the format lets that pass.
    is_in_frame = is_json_given and bool(command.data)
    return not (is_in_frame or is_json(command.data))


def _is_bad(options: Options, command: Publish, *, is_json_given: bool) -> bool:
    if command.idempotency_key and not is_key(command.idempotency_key):
        return True
    if is_json_given and command.data:  # whatever parsed it found JSON: it is not parsed again
        return options.publication_data_format == "json_object" and command.data.lstrip()[:1] != b"{"
    return refusal_of_data(options, command.data) is not None
