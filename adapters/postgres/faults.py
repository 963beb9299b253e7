"""How a call to the database may fail, for those who may not know the driver."""

from typing import Final

import asyncpg

LockNotAvailable: Final = asyncpg.LockNotAvailableError
"""A row is still held by a transaction that is not decided: try again."""

UNREACHABLE: Final = (asyncpg.PostgresError, asyncpg.InterfaceError, OSError)
"""The server is gone, starting, or refused the statement; what was only read may be read again."""
