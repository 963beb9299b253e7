"""Which versions of the API a request may name."""

import pytest

from core.errors import Code, TidingsError
from gateway.versions import VERSION, check_version


def test_a_released_version_or_none_is_accepted() -> None:
    check_version(None)
    check_version(VERSION)


@pytest.mark.parametrize("version", [b"", b"2025-06-01", b"2026-11-22 ", b"\xff" * 1_000])
def test_another_version_is_refused_with_those_that_exist(version: bytes) -> None:
    with pytest.raises(TidingsError) as caught:
        check_version(version)
    assert caught.value.code is Code.VERSION_UNKNOWN
    assert caught.value.members["supported_versions"] == [VERSION.decode()]
    assert len(caught.value.detail) < 100
