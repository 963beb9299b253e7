"""Documents whose form is ours and not a user's: read into the struct that they are, every fault named."""

from functools import cache
from typing import Any, TypeVar

import msgspec
from jsonschema_rs import Draft202012Validator

from core.resources.document import faults_by, invalid

S = TypeVar("S", bound=msgspec.Struct)


def typed(kind: type[S], document: dict[str, Any]) -> S:
    """Return a document, as `read_document` gives it, as a struct that forbids unknown fields.

    Raises:
        TidingsError: `validation_failed` with `errors`.
    """
    faults = faults_by(_validator_of(kind), document)
    if faults:
        raise invalid("The body is not valid.", faults)
    return msgspec.convert(document, kind)


@cache
def _validator_of(kind: type[msgspec.Struct]) -> Draft202012Validator:
    # The parser of structs stops at its first fault and tells it in prose.
    return Draft202012Validator(msgspec.json.schema(kind), offline=True)
