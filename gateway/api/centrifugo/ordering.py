"""`subscribe`, `unsubscribe`, `disconnect` and `refresh`: what is done to connections, wherever they are.

Nobody is asked whether there are such connections: all replicas hear of it, and none is no error.
"""

from typing import Final

import msgspec

from core.connections import orders
from core.connections.codes import FORCE_DISCONNECT, UNSUBSCRIBED_BY_SERVER
from core.errors import Code, TidingsError
from core.ports import Entropy, StreamWriter
from core.streams.command import Command, Publish
from core.streams.event_object import is_json
from gateway.api.centrifugo.answers import EMPTY
from gateway.api.centrifugo.caller import Caller
from gateway.api.centrifugo.requests import Disconnect, Refresh, Subscribe, Unsubscribe, Whose
from gateway.api.outcomes import committed

SPARED_MAX: Final = 10_000
REASON_BYTES_MAX: Final = 123
"""RFC 6455 §5.5: what a close frame has room for."""
CODE_MAX: Final = 4_999
SECONDS_MAX: Final = 2**53

_ENCODER: Final = msgspec.json.Encoder()


class Ordering:
    """Sends orders to all replicas.

    Args:
        writer: the way to the log, whose links reach them.
        entropy: makes ids.
        deadline_ms: how long a caller waits.
    """

    def __init__(self, writer: StreamWriter, entropy: Entropy, deadline_ms: int) -> None:
        self._writer = writer
        self._entropy = entropy
        self._deadline_ms = deadline_ms

    async def subscribe(self, caller: Caller, request: Subscribe) -> bytes:
        """Add a server-side subscription."""
        since = request.recover_since
        override = {name: value for name, value in (request.override or {}).items() if value is not None}
        order = orders.Subscribe(
            _who(request),
            request.channel or "",
            _json(request.info if request.b64info is None else request.b64info),
            _json(request.data if request.b64data is None else request.b64data),
            -1 if since is None else _number(since.offset),
            "" if since is None else since.epoch or "",
            _number(request.expire_at),
            _ENCODER.encode(override) if override else b"",
        )
        return await self._send(caller, order) if order.channel else EMPTY

    async def unsubscribe(self, caller: Caller, request: Unsubscribe) -> bytes:
        """End subscriptions."""
        order = orders.Unsubscribe(_who(request), request.channel or "", UNSUBSCRIBED_BY_SERVER)
        return await self._send(caller, order)

    async def disconnect(self, caller: Caller, request: Disconnect) -> bytes:
        """End connections."""
        end, spared = request.disconnect, request.whitelist or []
        code = FORCE_DISCONNECT if end is None else end.code or FORCE_DISCONNECT
        reason = "" if end is None else end.reason or ""
        if is_json(reason.encode()):
            reason = ""  # client libraries would take it for more than a text (§18 of the protocol)
        if not 0 < code <= CODE_MAX or len(reason.encode()) > REASON_BYTES_MAX or len(spared) > SPARED_MAX:
            raise TidingsError(Code.VALIDATION_FAILED)
        who = orders.Who(request.user or "", request.client or "", request.session or "", frozenset(spared))
        return await self._send(caller, orders.Disconnect(who, code, reason))

    async def refresh(self, caller: Caller, request: Refresh) -> bytes:
        """Give connections another expiry."""
        order = orders.Refresh(
            _who(request), bool(request.expired), _number(request.expire_at), _json(request.info)
        )
        return await self._send(caller, order)

    async def _send(self, caller: Caller, order: orders.Order) -> bytes:
        if not caller.principal.allows("channels:write"):
            raise TidingsError(Code.PERMISSION_DENIED)
        operation = Publish(("",), orders.encode_order(order), ephemeral=True, kind=orders.ORDER)
        command = Command(
            caller.organization_id,
            self._entropy.id(),
            operation,
            self._deadline_ms,
            actor=caller.principal.id,
            trace_id=caller.trace_id,
        )
        committed(await self._writer.submit(command))
        return EMPTY


def _who(request: Whose) -> orders.Who:
    return orders.Who(request.user or "", request.client or "", request.session or "")


def _number(value: int | None) -> int:
    if value is None:
        return 0
    if not 0 <= value <= SECONDS_MAX:
        raise TidingsError(Code.VALIDATION_FAILED)
    return value


def _json(raw: bytes | msgspec.Raw) -> bytes:
    data = bytes(raw)
    if data == b"null":
        return b""
    if data and not is_json(data):
        raise TidingsError(Code.VALIDATION_FAILED, "Clients get this inside of JSON.")
    return data
