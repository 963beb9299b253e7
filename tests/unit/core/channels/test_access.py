"""Who may subscribe to, publish to and read a channel, as one table."""

from dataclasses import replace
from typing import Any, Final

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.auth.principal import Organization, Principal
from core.auth.scopes import ALL
from core.channels.access import refusal_to_publish, refusal_to_read_history, refusal_to_subscribe
from core.errors import Code

STRICT: Final = Organization(
    organization_id=bytes(16),
    name="Acme",
    environment="test",
    status="active",
    client_publish=False,
    anonymous=True,
    client_insecure=False,
    unknown_namespaces="refuse",
    token_secret=b"secret",
)
PLAIN = replace(STRICT, unknown_namespaces="allow")
PUBLISHING = replace(PLAIN, client_publish=True)
INSECURE = replace(PLAIN, client_insecure=True)

KNOWN = frozenset({"room"})
READER = Principal(STRICT.organization_id, "key", "key_1", frozenset({"channels:read"}))
WRITER = Principal(STRICT.organization_id, "key", "key_2", frozenset({"channels:write"}))
OTHER = Principal(STRICT.organization_id, "key", "key_3", ALL - {"channels:write"})
USER = Principal(STRICT.organization_id, "user", "ann")
SCOPED_USER = Principal(STRICT.organization_id, "user", "bob", ALL)
NOBODY = Principal(STRICT.organization_id, "anonymous", "")

CHANNELS = ("room:1", "$room:1", "room:1#ann", "$room:1#ann")
MAY: Final[dict[str, tuple[Principal, Organization, str, str]]] = {
    # who: in which organization, may read, and write, of CHANNELS (x: may)
    "a key that reads": (READER, PLAIN, "xxxx", "...."),
    "a key that writes": (WRITER, PLAIN, "xxxx", "xxxx"),
    "a key of other areas": (OTHER, PLAIN, "....", "...."),
    "a key that reads, insecure": (READER, INSECURE, "xxxx", "...."),
    "a key of other areas, insecure": (OTHER, INSECURE, "....", "...."),
    "a key of other areas, publishing": (OTHER, PUBLISHING, "....", "...."),
    "a user": (USER, PLAIN, "x...", "...."),
    "a user, publishing": (USER, PUBLISHING, "x...", "x..."),
    "a user, insecure": (USER, INSECURE, "x.x.", "x.x."),
    "a user with scopes": (SCOPED_USER, PLAIN, "x...", "...."),
    "nobody": (NOBODY, PLAIN, "x...", "...."),
    "nobody, publishing": (NOBODY, PUBLISHING, "x...", "...."),
    "nobody, insecure": (NOBODY, INSECURE, "x.x.", "x.x."),
}
EVERYBODY = [READER, WRITER, OTHER, USER, SCOPED_USER, NOBODY]
ASKED = [refusal_to_subscribe, refusal_to_read_history, refusal_to_publish]


@pytest.mark.parametrize(
    ("principal", "organization", "reads", "writes"),
    MAY.values(),
    ids=[name.replace(" ", "-") for name in MAY],
)
def test_the_table_of_access(
    principal: Principal, organization: Organization, reads: str, writes: str
) -> None:
    def shown(ask: Any) -> str:
        refusals = [ask(principal, organization, channel, KNOWN) for channel in CHANNELS]
        assert set(refusals) <= {None, Code.PERMISSION_DENIED}
        return "".join("x" if refusal is None else "." for refusal in refusals)

    assert shown(refusal_to_subscribe) == reads
    assert shown(refusal_to_read_history) == reads
    assert shown(refusal_to_publish) == writes


@pytest.mark.parametrize("ask", ASKED)
@pytest.mark.parametrize("principal", EVERYBODY, ids=lambda principal: str(principal.id or "nobody"))
def test_a_bad_name_and_an_unknown_namespace_are_told_to_whomever(ask: Any, principal: Principal) -> None:
    for channel in ("", "r\u00f6m", "room:1\n", "a" * 256):
        assert ask(principal, STRICT, channel, KNOWN) is Code.VALIDATION_FAILED
        assert ask(principal, INSECURE, channel, KNOWN) is Code.VALIDATION_FAILED
    for channel in ("nothing:1", "$nothing:1", "Room:1", "nothing:\u00f6"):
        assert ask(principal, STRICT, channel, KNOWN) is Code.UNKNOWN_CHANNEL


@pytest.mark.parametrize("ask", ASKED)
@pytest.mark.parametrize("channel", ["room:1", "$room:1", "room:", "lobby", "$lobby", ":1"])
def test_known_namespaces_and_channels_without_one_are_never_unknown(ask: Any, channel: str) -> None:
    assert ask(WRITER, STRICT, channel, KNOWN) is None


@given(
    st.sampled_from(ASKED),
    st.sampled_from([NOBODY, USER]),
    st.sampled_from([STRICT, PLAIN, PUBLISHING, INSECURE]),
    st.text("ab:#$", max_size=6),
)
def test_whoever_connects_without_a_key_never_enters_a_private_channel(
    ask: Any, principal: Principal, organization: Organization, name: str
) -> None:
    assert ask(principal, organization, "$" + name, KNOWN) is not None
