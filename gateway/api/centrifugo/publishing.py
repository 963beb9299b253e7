"""`publish` and `broadcast`."""

import asyncio
from collections.abc import Awaitable, Sequence
from hashlib import sha256
from typing import Final

from core.auth.access import Namespaces, refusal_of_data, refusal_to_publish
from core.channels.namespace import Options
from core.errors import Code, TidingsError
from core.ports import Clock, Entropy, StreamWriter
from core.streams.command import Command, Publish
from core.streams.event import OPAQUE, WANTS_PATCH
from core.streams.event_object import is_json
from core.streams.outcome import Committed, Outcome, Refused
from gateway.api.centrifugo.answers import Published, code_of, encode, failed, succeeded
from gateway.api.centrifugo.caller import Caller
from gateway.api.centrifugo.requests import Broadcast, Payload
from gateway.api.centrifugo.requests import Publish as PublishRequest
from gateway.api.outcomes import committed
from gateway.api.publications import CHANNELS_MAX
from settings import Settings

VERSION_MAX: Final = 2**63 - 1
EPOCH_CHARACTERS_MAX: Final = 255
"""Of a version's epoch; and no NUL, for which the log has no place."""
PARALLEL_MAX: Final = 500
"""Commands of one request, at a time: more would take the room that those of all organizations share."""
PAUSE_S: Final = 0.05
"""Between two looks at a command whose key is in use by one under way."""


class Publishing:
    """Hands publications to the log.

    Args:
        writer: the way to the log.
        clock: times.
        entropy: makes ids.
        known: the names of the resource types.
        settings: limits.
    """

    def __init__(
        self, writer: StreamWriter, clock: Clock, entropy: Entropy, known: Namespaces, settings: Settings
    ) -> None:
        self._writer = writer
        self._clock = clock
        self._entropy = entropy
        self._known = known
        self._bytes_max = settings.api.document_bytes_max
        self._channels_max = settings.api.publish_entries_max
        self._deadline_ms = settings.log.request_deadline_ms

    async def publish(self, caller: Caller, request: PublishRequest) -> bytes:
        """Publish to one channel."""
        channel, data = request.channel or "", request.bytes
        options = self._checked(caller, channel, request, data)
        effect = await self._write(
            caller, _operation((channel,), request, data, options), _key(request, channel)
        )
        return _shown(effect, 0, options)

    async def broadcast(self, caller: Caller, request: Broadcast) -> bytes:
        """Publish the same to many channels, each of which succeeds or fails by itself.

        With an idempotency key or a version each channel has its own command, and its own answer; without,
        what is alike goes as one.
        """
        channels, data = request.channels or [], request.bytes
        if not channels or len(channels) > self._channels_max:
            raise TidingsError(Code.VALIDATION_FAILED, f"Name 1 to {self._channels_max} channels.")
        answers = [b""] * len(channels)
        allowed: dict[int, Options] = {}
        for place, channel in enumerate(channels):
            try:
                allowed[place] = self._checked(caller, channel, request, data)
            except TidingsError as error:
                answers[place] = failed(code_of(error))
        groups = _groups(channels, allowed, request)
        for start in range(0, len(groups), PARALLEL_MAX):
            some = groups[start : start + PARALLEL_MAX]
            writes = [self._of_group(caller, channels, places, allowed, request, data) for places in some]
            effects = await asyncio.gather(*writes, return_exceptions=True)
            for places, effect in zip(some, effects, strict=True):
                for index, place in enumerate(places):
                    answers[place] = _answer(effect, index, allowed[place])
        return b'{"responses":[%b]}' % b",".join(answers)

    def _of_group(
        self,
        caller: Caller,
        channels: Sequence[str],
        places: Sequence[int],
        allowed: dict[int, Options],
        request: Payload,
        data: bytes,
    ) -> Awaitable[Committed]:
        named = tuple(channels[place] for place in places)
        operation = _operation(named, request, data, allowed[places[0]])
        return self._write(caller, operation, _key(request, named[0]))

    def _checked(self, caller: Caller, channel: str, request: Payload, data: bytes) -> Options:
        refusal = refusal_to_publish(caller.principal, caller.organization, channel, self._known)
        if refusal is not None:
            raise TidingsError(refusal)
        options = caller.organization.channels.options_of(channel, self._known)
        assert options is not None  # noqa: S101 (unknown ones were refused)
        if (refusal := refusal_of_data(options, data)) is not None:
            raise TidingsError(refusal)
        if len(data) + _size_of(request.tags) > self._bytes_max:
            raise TidingsError(Code.BODY_TOO_LARGE)
        if not 0 <= (request.version or 0) <= VERSION_MAX or not _is_epoch(request.version_epoch):
            raise TidingsError(Code.VALIDATION_FAILED)
        return options

    def _write(self, caller: Caller, operation: Publish, key: str) -> Awaitable[Committed]:
        # Begins at the call: what one caller sends takes effect in the order in which it was sent.
        until_s = self._clock.monotonic() + self._deadline_ms / 1000
        return self._settled(caller, operation, key, until_s, self._submit(caller, operation, key, until_s))

    def _submit(self, caller: Caller, operation: Publish, key: str, until_s: float) -> Awaitable[Outcome]:
        left_ms = int((until_s - self._clock.monotonic()) * 1000)
        return self._writer.submit(
            Command(
                caller.organization_id,
                self._entropy.id(),
                operation,
                left_ms,
                key,
                actor=caller.principal.id,
                trace_id=caller.trace_id,
            )
        )

    async def _settled(
        self, caller: Caller, operation: Publish, key: str, until_s: float, first: Awaitable[Outcome]
    ) -> Committed:
        outcome = await first
        while _is_in_flight(outcome) and self._clock.monotonic() + PAUSE_S < until_s:
            await self._clock.sleep(PAUSE_S)
            outcome = await self._submit(caller, operation, key, until_s)
        return committed(outcome)


def _size_of(tags: dict[str, str] | None) -> int:
    return sum(len(name.encode()) + len(value.encode()) for name, value in (tags or {}).items())


def _is_epoch(text: str | None) -> bool:
    return not text or (len(text) <= EPOCH_CHARACTERS_MAX and "\0" not in text)


def _is_in_flight(outcome: Outcome) -> bool:
    return isinstance(outcome, Refused) and outcome.code == Code.IDEMPOTENCY_IN_FLIGHT.value


def _operation(channels: tuple[str, ...], request: Payload, data: bytes, options: Options) -> Publish:
    is_opaque = request.b64data is not None and not is_json(data)
    flags = (WANTS_PATCH if request.delta else 0) | (OPAQUE if is_opaque else 0)
    return Publish(
        channels,
        data,
        tags=request.tags or None,
        ephemeral=_is_ephemeral(request, options),
        flags=flags,
        version=request.version or 0,
        version_epoch=request.version_epoch or "",
    )


def _is_ephemeral(request: Payload, options: Options) -> bool:
    return bool(request.skip_history) or options.ephemeral


def _key(request: Payload, channel: str) -> str:
    """Return the key under which the log keeps the answer: of the channel, and apart from REST's keys.

    The space keeps it apart from every key that a client can send.
    """
    if not request.idempotency_key:
        return ""
    named = b"%d %b %b" % (len(channel), channel.encode(), request.idempotency_key.encode())
    return f" api {sha256(named).hexdigest()}"


def _groups(channels: Sequence[str], allowed: dict[int, Options], request: Payload) -> list[list[int]]:
    """Return which places go together: alike, no channel twice, and not too many."""
    if request.idempotency_key or request.version:
        return [[place] for place in allowed]
    groups: list[list[int]] = []
    open_groups: dict[tuple[bool, int], list[int]] = {}
    times: dict[str, int] = {}
    for place, options in allowed.items():
        channel = channels[place]
        times[channel] = times.get(channel, 0) + 1
        kind = (_is_ephemeral(request, options), times[channel])
        group = open_groups.get(kind)
        if group is None or len(group) == CHANNELS_MAX:
            group = open_groups[kind] = []
            groups.append(group)
        group.append(place)
    return groups


def _answer(effect: Committed | BaseException, index: int, options: Options) -> bytes:
    match effect:
        case Committed():
            return succeeded(_shown(effect, index, options))
        case TidingsError():
            return failed(code_of(effect))
        case _:
            raise effect


def _shown(effect: Committed, index: int, options: Options) -> bytes:
    if not effect.offsets or options.history == "off":
        return encode(Published())
    return encode(Published(effect.offsets[index], effect.epoch))
