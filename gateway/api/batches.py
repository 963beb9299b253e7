"""Several writes in one request: each stands or falls alone, in the order of the list."""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

import msgspec
import orjson

from core.errors import Code, TidingsError
from core.resources.document import invalid, read_object
from core.streams.command import Operation
from core.streams.outcome import Committed, Outcome, Refused
from gateway.api.call import Answer, Call, Header
from gateway.api.idempotency import derived_key, fingerprint
from gateway.api.outcomes import REPLAYED, committed, position_header
from gateway.api.writing import Writing

_WHOLE: Final = frozenset({Code.IDEMPOTENCY_MISMATCH.value, Code.IDEMPOTENCY_IN_FLIGHT.value})


class _Items(msgspec.Struct):
    items: list[msgspec.Raw]


_ITEMS: Final = msgspec.json.Decoder(_Items)


@dataclass(slots=True)
class Item:
    """One member of a batch: what to write, or why it can't be.

    With both, the writer is asked all the same, since it alone knows whether the key has an answer already.
    """

    raw: bytes
    operation: Operation | None = None
    error: TidingsError | None = None
    key: str = ""


Result = Committed | TidingsError


def items_of(body: bytes, most: int, known: frozenset[str]) -> tuple[dict[str, Any], list[tuple[bytes, Any]]]:
    """Return a batch's members besides `items`, and its items: each as bytes and as value.

    Raises:
        TidingsError: `malformed_request`, `validation_failed`.
    """
    document = read_object(body)
    faults = [(f"#/{name}", "unknown_field", "No such field.") for name in document if name not in known]
    values = document.pop("items", None)
    if values is None:
        faults.append(("#/items", "required", "Missing."))
    elif not isinstance(values, list):
        faults.append(("#/items", "wrong_type", "Must be an array."))
    elif not 1 <= len(values) <= most:
        faults.append(("#/items", "too_long" if values else "too_short", f"1 to {most} items."))
    if not isinstance(document.get("atomic", False), bool):
        faults.append(("#/atomic", "wrong_type", "Must be true or false."))
    if faults or not isinstance(values, list):
        raise invalid("The body is no batch.", faults)
    return document, list(zip(map(bytes, _ITEMS.decode(body).items), values, strict=True))


class Batch:
    """Runs the items of one request.

    Args:
        writing: hands them to the log.
        call: the request.
        key: of the batch; items without one of their own get a key made from it, so that a batch cut in
            half by a crash is completed by its repetition.
    """

    def __init__(self, writing: Writing, call: Call, key: str) -> None:
        self._writing = writing
        self._call = call
        self._key = key
        self._fingerprint = fingerprint(call) if key else b""

    async def run(self, items: Sequence[Item]) -> list[Result]:
        """Return what became of each item.

        Raises:
            TidingsError: `idempotency_mismatch` or `idempotency_in_flight`, the batch's key belongs to
                another request, or to one under way; nothing was written then.
        """
        waiting: list[asyncio.Future[Outcome] | None] = []
        for index, item in enumerate(items):
            if item.operation is None:
                waiting.append(None)
                continue
            outcome = self._submit(index, item)
            waiting.append(outcome)
            if index == 0 and self._key and not item.key and len(items) > 1:
                # The first item tells for all whether the key is free, before anything else is written.
                await asyncio.wait((outcome,))
                if isinstance(first := outcome.result(), Refused) and first.code in _WHOLE:
                    committed(first)
        return [await _result(item, outcome) for item, outcome in zip(items, waiting, strict=True)]

    def _submit(self, index: int, item: Item) -> asyncio.Future[Outcome]:
        assert item.operation is not None  # noqa: S101 (the caller has looked)
        key = item.key or derived_key(self._key, index)
        made = fingerprint(self._call, item.raw) if item.key else self._fingerprint
        event_id = self._writing.new_id()
        return asyncio.ensure_future(
            self._writing.submit(self._call, item.operation, key=key, fingerprint=made, event_id=event_id)
        )


async def _result(item: Item, outcome: asyncio.Future[Outcome] | None) -> Result:
    if outcome is None:
        assert item.error is not None  # noqa: S101 (an item is one or the other)
        return item.error
    try:
        return committed(await outcome)
    except TidingsError as error:
        return error


def batch_answer(name: str, results: Sequence[Result], entries: Sequence[dict[str, Any]]) -> Answer:
    """Return the answer to a batch.

    Args:
        name: the `object` member.
        results: what became of each item.
        entries: how that is shown.
    """
    effects = [result for result in results if isinstance(result, Committed)]
    headers: list[Header] = []
    if effects:
        headers.append(position_header(max(effects, key=_seq)))
        if len(effects) == len(results) and all(effect.replayed for effect in effects):
            headers.append(REPLAYED)
    body = {"object": name, "has_errors": len(effects) != len(results), "results": entries}
    return Answer(200, orjson.dumps(body), tuple(headers))


def _seq(effect: Committed) -> int:
    return effect.seq
