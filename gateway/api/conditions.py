"""ETags and the conditions that name them: `"r<version>"`, whoever asks, wherever it is answered."""

import re
from typing import Final

from core.errors import Code, TidingsError
from core.streams.command import Condition

ANY: Final = -1

# HAProxy makes an ETag weak when it compresses, so a weak one counts like the strong one.
_TAG: Final = re.compile(rb'(?:W/)?"r([1-9][0-9]{0,15})"')
_ANY_TAG: Final = re.compile(rb'(?:W/)?"[\x21\x23-\x7e]*"')


def etag(version: int) -> bytes:
    """Return the ETag of a resource at this version."""
    return b'"r%d"' % version


def write_condition(headers: dict[bytes, bytes]) -> Condition:
    """Return what `If-Match` and `If-None-Match` demand of a PUT, PATCH or DELETE.

    Raises:
        TidingsError: `header_invalid`; `precondition_failed`, a tag that we have never given.
    """
    if_match, if_none_match = headers.get(b"if-match"), headers.get(b"if-none-match")
    if if_none_match is not None and if_none_match.strip() != b"*":
        raise TidingsError(
            Code.HEADER_INVALID, "On a write If-None-Match can only be *.", header="If-None-Match"
        )
    version = 0 if if_match is None else _version(if_match.strip())
    return Condition(version, if_none_match is not None)


def _version(if_match: bytes) -> int:
    if if_match == b"*":
        return ANY
    match = _TAG.fullmatch(if_match)
    if match is not None:
        return int(match[1])
    if _ANY_TAG.fullmatch(if_match):
        raise TidingsError(Code.PRECONDITION_FAILED, "If-Match named no version of ours.")
    raise TidingsError(Code.HEADER_INVALID, 'If-Match is one ETag, like "r42", or *.', header="If-Match")


def check_condition(condition: Condition, version: int) -> None:
    """Accept a write to what stands at this version, 0 for what does not exist.

    Raises:
        TidingsError: `precondition_failed`.
    """
    wanted = condition.if_match
    is_wanted = version == wanted if wanted > 0 else bool(version) or not wanted
    if not is_wanted or (condition.must_not_exist and version):
        raise TidingsError(Code.PRECONDITION_FAILED)


def match_condition(headers: dict[bytes, bytes]) -> Condition:
    """Return what `If-Match` demands of a write that makes nothing new.

    Raises:
        TidingsError: `header_invalid`, also for `If-None-Match`; `precondition_failed`.
    """
    condition = write_condition(headers)
    if condition.must_not_exist:
        raise TidingsError(Code.HEADER_INVALID, "Only PUT takes If-None-Match.", header="If-None-Match")
    return condition


def is_known(headers: dict[bytes, bytes], version: int) -> bool:
    """Say whether the reader has this version already (`If-None-Match`): answer 304 without a body."""
    if_none_match = headers.get(b"if-none-match")
    if if_none_match is None:
        return False
    if if_none_match.strip() == b"*":
        return True
    return any(int(match[1]) == version for match in _TAG.finditer(if_none_match))
