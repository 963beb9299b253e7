"""Who may speak on a link."""

import itertools

import pytest

from adapters.links.handshake import CallerHandshake, HandshakeError, OwnerHandshake, Side, prove

KEY = b"k" * 32
OTHER_KEY = b"o" * 32


def test_both_ends_prove_the_key_and_the_owner_learns_the_process() -> None:
    caller = CallerHandshake(KEY, b"c" * 32, "owner-0", "api-1")
    owner = OwnerHandshake(KEY, b"o" * 32, "owner-0")
    challenge = owner.receive(caller.opening())
    assert isinstance(challenge, bytes)
    assert owner.receive(caller.answer(challenge)) == "api-1"


def test_a_proof_holds_for_one_side_one_pair_of_nonces_one_owner_and_one_process() -> None:
    sides: tuple[Side, Side] = ("owner", "caller")
    names = itertools.product((b"1" * 32, b"2" * 32), (b"3" * 32, b"4" * 32), ("a", "ab"), ("bc", "c"))
    varied = [prove(KEY, side, *parts) for parts in names for side in sides]
    assert len(set(varied)) == 32


def test_a_caller_with_another_key_is_refused() -> None:
    owner = OwnerHandshake(KEY, b"o" * 32, "owner-0")
    caller = CallerHandshake(OTHER_KEY, b"c" * 32, "owner-0", "api-1")
    challenge = owner.receive(caller.opening())
    assert isinstance(challenge, bytes)
    with pytest.raises(HandshakeError, match="cluster key") as refusal:
        caller.answer(challenge)
    assert not refusal.value.impostor


def test_an_owner_refuses_a_proof_made_with_another_key() -> None:
    owner = OwnerHandshake(KEY, b"o" * 32, "owner-0")
    twin = OwnerHandshake(OTHER_KEY, b"o" * 32, "owner-0")
    caller = CallerHandshake(OTHER_KEY, b"c" * 32, "owner-0", "api-1")
    owner.receive(caller.opening())
    challenge = twin.receive(caller.opening())
    assert isinstance(challenge, bytes)
    with pytest.raises(HandshakeError, match="cluster key"):
        owner.receive(caller.answer(challenge))


def test_another_owner_on_a_reused_port_is_noticed() -> None:
    owner = OwnerHandshake(KEY, b"o" * 32, "owner-1")
    caller = CallerHandshake(KEY, b"c" * 32, "owner-0", "api-1")
    challenge = owner.receive(caller.opening())
    assert isinstance(challenge, bytes)
    with pytest.raises(HandshakeError) as refusal:
        caller.answer(challenge)
    assert refusal.value.impostor


def test_what_was_said_on_one_connection_proves_nothing_on_another() -> None:
    caller = CallerHandshake(KEY, b"c" * 32, "owner-0", "api-1")
    first = OwnerHandshake(KEY, b"1" * 32, "owner-0")
    challenge = first.receive(caller.opening())
    assert isinstance(challenge, bytes)
    proof = caller.answer(challenge)
    second = OwnerHandshake(KEY, b"2" * 32, "owner-0")
    second.receive(caller.opening())
    with pytest.raises(HandshakeError):
        second.receive(proof)


@pytest.mark.parametrize(
    "opening",
    [b"", b"\x93\xa5hello", b"x" * 5_000, CallerHandshake(KEY, b"short", "owner-0", "api").opening()],
    ids=["empty", "cut", "long", "short nonce"],
)
def test_a_malformed_opening_is_refused(opening: bytes) -> None:
    with pytest.raises(HandshakeError):
        OwnerHandshake(KEY, b"o" * 32, "owner-0").receive(opening)


def test_a_process_without_a_name_is_refused() -> None:
    with pytest.raises(HandshakeError):
        OwnerHandshake(KEY, b"o" * 32, "owner-0").receive(
            CallerHandshake(KEY, b"c" * 32, "owner-0", "").opening()
        )


def test_a_short_cluster_key_is_a_mistake() -> None:
    with pytest.raises(ValueError, match="32"):
        prove(b"short", "owner", b"", b"", "owner-0", "api-1")
