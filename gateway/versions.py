"""The API's dated versions, for both halves: which of them a request may name."""

from typing import Final

from core.errors import Code, TidingsError
from core.streams.event_object import API_VERSION

VERSION: Final = API_VERSION.encode()
"""As the header Tidings-Version shows it."""

_SHOWN_CHARACTERS: Final = 20


def check_version(version: bytes | None) -> None:
    """Accept a request that names a released version, or none.

    Raises:
        TidingsError: `version_unknown` with `supported_versions`.
    """
    if version is None or version == VERSION:
        return
    named = version[:_SHOWN_CHARACTERS].decode("latin-1")
    raise TidingsError(
        Code.VERSION_UNKNOWN, f"{named} is not a released version.", supported_versions=[API_VERSION]
    )
