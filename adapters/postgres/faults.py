"""How a call to the database may fail, for those who may not know the driver."""

from typing import Final

import asyncpg

LockNotAvailable: Final = asyncpg.LockNotAvailableError
"""A row is still held by a transaction that is not decided: try again."""

# InternalClientError: the driver's own, also for a server that is not the one asked for (a standby).
UNREACHABLE: Final = (
    asyncpg.PostgresError, asyncpg.InterfaceError, asyncpg.InternalClientError, OSError,
)  # fmt: skip
"""The server is gone, starting, or refused the statement; what was only read may be read again."""

_INDEFINITE_CLASSES: Final = ("08", "57", "58", "XX")
_STATEMENT_COMPLETION_UNKNOWN: Final = "40003"
_SHORTAGES: Final = "53"
# Waiting mends neither a wrong address nor a wrong password.
_LASTING: Final = (asyncpg.exceptions.ClientConfigurationError,)
_LASTING_CLASSES: Final = ("28", "3D", "42")


def is_definite(error: BaseException) -> bool:
    """Say whether the server itself rolled the statement back, so that it surely had no effect."""
    if not isinstance(error, asyncpg.PostgresError):
        return False
    state = error.sqlstate or ""
    return not state.startswith(_INDEFINITE_CLASSES) and state != _STATEMENT_COMPLETION_UNKNOWN


def is_shortage(error: BaseException) -> bool:
    """Say whether the server has run out of disk, memory or connections: no fault of what it was asked."""
    return isinstance(error, asyncpg.PostgresError) and (error.sqlstate or "").startswith(_SHORTAGES)


def may_pass(error: BaseException) -> bool:
    """Say whether the same call may succeed later, when the server is back."""
    if isinstance(error, _LASTING):
        return False
    if isinstance(error, asyncpg.PostgresError):
        return not (error.sqlstate or "").startswith(_LASTING_CLASSES)
    return isinstance(error, UNREACHABLE)
