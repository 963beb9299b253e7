"""Who asks: a key does what its scopes include, a user nothing by scope."""

from dataclasses import FrozenInstanceError

import pytest

from core.auth.principal import Organization, Principal

ORGANIZATION_ID = bytes(16)
ORGANIZATION = Organization(
    organization_id=ORGANIZATION_ID,
    name="Acme",
    environment="test",
    status="active",
    client_publish=False,
    anonymous=False,
    client_insecure=False,
    token_secret=b"hush-hush",
)


@pytest.mark.parametrize(
    ("wanted", "expected"),
    [
        ("channels:read", True),
        ("channels:write", True),
        ("resources.room:read", True),
        ("resources.room:write", False),
        ("keys:read", False),
    ],
)
def test_a_key_may_do_what_its_scopes_include(wanted: str, *, expected: bool) -> None:
    key = Principal(ORGANIZATION_ID, "key", "key_1", frozenset({"channels:write", "resources:read"}))
    assert key.allows(wanted) is expected


def test_a_user_has_no_scopes_no_end_and_nothing_to_show_unless_a_token_says_so() -> None:
    user = Principal(ORGANIZATION_ID, "user", "ann")
    assert not user.allows("channels:read")
    assert (user.expires_at, user.refreshable, user.info) == (None, False, b"")


def test_a_verified_caller_cannot_be_changed_afterwards() -> None:
    principal = Principal(ORGANIZATION_ID, "anonymous", "")
    with pytest.raises(FrozenInstanceError):
        principal.kind = "key"  # type: ignore[misc]  # the point of the test


def test_an_organization_cannot_be_changed_by_who_was_handed_it() -> None:
    with pytest.raises(FrozenInstanceError):
        ORGANIZATION.client_publish = True  # type: ignore[misc]  # the point of the test


def test_an_organization_in_a_log_line_does_not_show_its_secret() -> None:
    assert "Acme" in repr(ORGANIZATION)
    assert "hush" not in repr(ORGANIZATION)
