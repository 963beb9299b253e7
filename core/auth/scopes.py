"""Scopes: what a credential may do, as `<area>:read|write` and `resources.<type>:write`."""

from functools import lru_cache
from typing import Final

from core.errors import Code, TidingsError

AREAS: Final = frozenset(
    {
        "resources", "events", "channels", "tokens", "webhooks", "jobs", "keys", "members", "audit", "usage",
        "organization",
    }
)  # fmt: skip
ALL: Final = frozenset(f"{area}:write" for area in AREAS)


def parse(text: str) -> str:
    """Return a scope as it is stored.

    Raises:
        TidingsError: `validation_failed`, no such area or verb.
    """
    subject, _, verb = text.partition(":")
    area, dot, narrower = subject.partition(".")
    if verb in ("read", "write") and area in AREAS and (not dot or (area == "resources" and narrower)):
        return text
    raise TidingsError(
        Code.VALIDATION_FAILED,
        f"{text} is no scope: one is <area>:read or <area>:write, of {', '.join(sorted(AREAS))}; "
        "resources.<type>:read is of one type.",
    )


def allows(granted: frozenset[str], wanted: str) -> bool:
    """Say whether the granted scopes include `wanted`: write includes read, an area its narrower parts."""
    return not granted.isdisjoint(_including(wanted))


@lru_cache(maxsize=1_000)  # asked of each publish; the scopes that code asks for are few
def _including(wanted: str) -> tuple[str, ...]:
    subject, _, verb = wanted.partition(":")
    verbs = ("read", "write") if verb == "read" else ("write",)
    area = subject.partition(".")[0]
    return tuple(f"{held}:{granted_verb}" for held in {subject, area} for granted_verb in verbs)
