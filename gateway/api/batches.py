"""Several writes in one request: each stands or falls alone, in the order of the list."""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final, TypeGuard

import msgspec
import orjson

from core.errors import Code, TidingsError
from core.resources.document import invalid, pointer_to, read_object
from core.streams.command import Claim, Operation
from core.streams.outcome import Committed, Outcome
from gateway.api.call import Answer, Call, Header
from gateway.api.idempotency import derived_key, fingerprint
from gateway.api.outcomes import REPLAYED, committed, position_header
from gateway.api.writing import Writing


class _Items(msgspec.Struct):
    items: list[msgspec.Raw]


_ITEMS: Final = msgspec.json.Decoder(_Items)


@dataclass(slots=True)
class Item:
    """One member of a batch: what to write, or why it can't be.

    With both, the writer is asked all the same where there is a key, since it alone knows whether that has an
    answer already; if it has none, the error stands.
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
    faults = [(pointer_to(name), "unknown_field", "No such field.") for name in document if name not in known]
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
        key: of the batch. It is claimed first, with the whole request's fingerprint; then items without one
            of their own get a key made from it, so that a batch cut in half by a crash is completed by its
            repetition.
    """

    def __init__(self, writing: Writing, call: Call, key: str) -> None:
        self._writing = writing
        self._call = call
        self._key = key
        self._fingerprint = fingerprint(call) if key else b""

    async def run(self, items: Sequence[Item]) -> list[Result]:
        """Return what became of each item.

        Raises:
            TidingsError: the batch's key belongs to another request (`idempotency_mismatch`) and nothing was
                written, or to one under way (`idempotency_in_flight`); whatever a claim may be refused with.
        """
        if self._key:
            committed(await self._submit(Claim(), self._key, self._fingerprint))
        waiting = [self._begin(index, item) for index, item in enumerate(items)]
        results = [await _result(item, outcome) for item, outcome in zip(items, waiting, strict=True)]
        for item, result in zip(items, results, strict=True):
            # Another request with this key is not through: only after it the answer is known.
            if _is_in_flight(result) and not item.key:
                raise result
        return results

    def _begin(self, index: int, item: Item) -> asyncio.Future[Outcome] | None:
        key = item.key or derived_key(self._key, index)
        if item.operation is None or (item.error is not None and not key):
            return None
        made = fingerprint(self._call, item.raw) if item.key else self._fingerprint
        return self._submit(item.operation, key, made)

    def _submit(self, operation: Operation, key: str, made: bytes) -> asyncio.Future[Outcome]:
        event_id = self._writing.new_id()
        return asyncio.ensure_future(
            self._writing.submit(self._call, operation, key=key, fingerprint=made, event_id=event_id)
        )


def _is_in_flight(result: Result) -> TypeGuard[TidingsError]:
    return isinstance(result, TidingsError) and result.code is Code.IDEMPOTENCY_IN_FLIGHT


async def _result(item: Item, outcome: asyncio.Future[Outcome] | None) -> Result:
    if outcome is None:
        assert item.error is not None  # noqa: S101 (an item is one or the other)
        return item.error
    try:
        return committed(await outcome)
    except TidingsError as error:
        return error if item.error is None or error.code is not Code.VALIDATION_FAILED else item.error


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
    if all(map(_is_replayed, results)):
        headers.append(REPLAYED)
    body = {"object": name, "has_errors": len(effects) != len(results), "results": entries}
    return Answer(200, orjson.dumps(body), tuple(headers))


def _is_replayed(result: Result) -> bool:
    if isinstance(result, Committed):
        return result.replayed
    return bool(result.members.get("replayed"))


def _seq(effect: Committed) -> int:
    return effect.seq
