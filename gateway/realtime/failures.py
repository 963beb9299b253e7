"""What went wrong behind a command, as its client is told."""

from core.connections.frames import ErrorReply
from core.errors import Code, TidingsError


def known(error: TidingsError | OSError) -> TidingsError:
    """Return the registered error of a failure."""
    return error if isinstance(error, TidingsError) else TidingsError(Code.UNAVAILABLE)


def reply_of(error: TidingsError | OSError) -> ErrorReply:
    """Return the error reply of a failure."""
    return ErrorReply(known(error).row.realtime)
