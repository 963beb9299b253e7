"""Writes that the log does not make: their answers are kept there all the same, under their keys."""

from dataclasses import replace
from typing import Final

import msgspec

from core.errors import Code, TidingsError
from core.streams.command import Claim
from core.streams.idempotency import STORED_REFUSALS
from core.streams.outcome import Committed, Outcome, Refused, Unknown
from gateway.api.call import Answer, Call, Handle
from gateway.api.idempotency import QUESTION, fingerprint, key_of
from gateway.api.outcomes import REPLAYED
from gateway.api.writing import Writing
from gateway.problems import error_of


class _Given(msgspec.Struct, frozen=True, array_like=True, tag=0):
    answer: Answer


_ENCODER: Final = msgspec.msgpack.Encoder()
_DECODER: Final = msgspec.msgpack.Decoder(_Given | Refused)


def once(writing: Writing, handle: Handle) -> Handle:
    """Return the handler that tells a repeated request the answer which it had the first time.

    The answer is kept after the effect. After a crash in between, and for twins at the same time, the effect
    is had again, so twice must end where once does. No answer may hold a secret.
    """

    async def answer(call: Call) -> Answer:
        key = key_of(call.headers)
        if not key:
            return await handle(call)
        made = fingerprint(call)
        asked = await writing.submit(call, QUESTION, key=key, fingerprint=made)
        if (kept := _kept_in(asked)) is not None:
            return _told(kept)
        if isinstance(asked, Unknown) or (isinstance(asked, Refused) and not _is_fresh(asked)):
            raise error_of(asked)
        given, refusal = await _done(handle, call)
        claim = Claim(_ENCODER.encode(given))
        kept = _kept_in(await writing.submit(call, claim, key=key, fingerprint=made))
        if isinstance(kept, _Given):  # a twin was quicker, and had the effect
            return _told(kept)
        if refusal is not None:
            raise refusal
        return _told(given, replayed=False)

    return answer


def _is_fresh(refused: Refused) -> bool:
    """Say whether this answers the question under a key that nobody has used."""
    return refused.code == Code.VALIDATION_FAILED.value


def _kept_in(outcome: Outcome) -> _Given | Refused | None:
    if not isinstance(outcome, Committed) or not outcome.replayed or not outcome.document:
        return None
    kept: _Given | Refused = _DECODER.decode(outcome.document)
    return kept


async def _done(handle: Handle, call: Call) -> tuple[_Given | Refused, TidingsError | None]:
    """Return what is to be kept, and with a refusal the error itself."""
    try:
        return _Given(await handle(call)), None
    except TidingsError as error:
        if error.code.value not in STORED_REFUSALS:
            raise
        version: int = error.members.get("version", 0)
        return Refused(error.code.value, error.detail, version=version, event_id=call.request_id), error


def _told(kept: _Given | Refused, *, replayed: bool = True) -> Answer:
    if isinstance(kept, Refused):
        raise error_of(msgspec.structs.replace(kept, replayed=True))
    answer = kept.answer
    return replace(answer, headers=(*answer.headers, REPLAYED)) if replayed else answer
