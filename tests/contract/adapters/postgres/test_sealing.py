"""A sealed secret opens for its key at its place, and nowhere else."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from adapters.entropy import SystemEntropy
from adapters.postgres.sealing import (
    KEY_BYTES,
    NONCE_BYTES,
    Sealer,
    SealingError,
    ensure_key,
    read_key,
)

ENTROPY = SystemEntropy()
KEY, ANOTHER_KEY = b"k" * KEY_BYTES, b"K" * KEY_BYTES
PLACE = (b"o" * 16, b"organizations", b"token_secret_sealed", b"o" * 16)
HEADER_BYTES = 1 + 16 + NONCE_BYTES
PARTS = st.lists(st.binary(max_size=40), max_size=5).map(tuple)


def sealer(key: bytes = KEY) -> Sealer:
    return Sealer(key, ENTROPY)


@given(st.binary(max_size=200), PARTS)
def test_what_was_sealed_opens_at_its_place(secret: bytes, place: tuple[bytes, ...]) -> None:
    assert sealer().open(sealer().seal(secret, place), place) == secret


@given(PARTS, PARTS)
def test_it_opens_at_no_other_place(place: tuple[bytes, ...], other: tuple[bytes, ...]) -> None:
    sealed = sealer().seal(b"secret", place)
    if place != other:
        with pytest.raises(SealingError, match="changed in the database"):
            sealer().open(sealed, other)


def test_places_whose_parts_join_alike_are_told_apart() -> None:
    sealed = sealer().seal(b"secret", (b"ab", b"c"))
    for other in ((b"a", b"bc"), (b"abc",), (b"ab", b"c", b"")):
        with pytest.raises(SealingError):
            sealer().open(sealed, other)


@given(st.data())
def test_a_changed_byte_is_noticed_wherever_it_stands(data: st.DataObject) -> None:
    sealed = bytearray(sealer().seal(b"secret", PLACE))
    where = data.draw(st.integers(0, len(sealed) - 1))
    sealed[where] ^= data.draw(st.integers(1, 255))
    with pytest.raises(SealingError):
        sealer().open(bytes(sealed), PLACE)


def test_a_cut_value_is_noticed_wherever_it_was_cut() -> None:
    sealed = sealer().seal(b"secret", PLACE)
    for kept in range(len(sealed)):
        with pytest.raises(SealingError):
            sealer().open(sealed[:kept], PLACE)


def test_another_key_is_named_as_the_cause() -> None:
    with pytest.raises(SealingError, match="another key file"):
        sealer(ANOTHER_KEY).open(sealer().seal(b"secret", PLACE), PLACE)


def test_the_same_secret_is_never_sealed_alike_and_never_shows() -> None:
    sealed = {sealer().seal(b"a secret of some length", PLACE) for _ in range(100)}
    assert len({value[HEADER_BYTES - NONCE_BYTES : HEADER_BYTES] for value in sealed}) == 100
    assert len({value[HEADER_BYTES:] for value in sealed}) == 100
    assert not any(b"secret" in value or KEY in value for value in sealed)


def test_a_value_that_an_older_release_sealed_still_opens() -> None:
    sealed = bytes.fromhex(
        "01"  # version
        "9eb1a441e781580b7a3efe6ca0d49099"  # key id
        "000102030405060708090a0b"  # nonce
        "19b8975c61a4d41b5d86a6c0c11add67f723e7e3bfa3"
    )
    assert sealer().open(sealed, PLACE) == b"secret"


def test_a_new_key_file_is_for_its_owner_alone_and_is_made_once(tmp_path: Path) -> None:
    file = tmp_path / "key"
    assert ensure_key(file, ENTROPY)
    key = read_key(file)
    assert len(key) == KEY_BYTES
    assert file.stat().st_mode & 0o777 == 0o600
    assert not ensure_key(file, ENTROPY)
    assert read_key(file) == key
    assert ensure_key(tmp_path / "another", ENTROPY)
    assert read_key(tmp_path / "another") != key


def test_a_key_file_that_cannot_be_used_says_what_to_do(tmp_path: Path) -> None:
    file = tmp_path / "key"
    with pytest.raises(SealingError, match=r"can't be read \(No such file.*restore it from its backup"):
        read_key(file)
    for size in (0, KEY_BYTES - 1, KEY_BYTES + 1):
        file.write_bytes(bytes(size))
        with pytest.raises(SealingError, match="must hold 32 bytes"):
            read_key(file)
    file.write_bytes(KEY)
    for mode in (0o640, 0o604, 0o620):
        file.chmod(mode)
        with pytest.raises(SealingError, match="chmod 600"):
            read_key(file)
    file.chmod(0o400)
    assert read_key(file) == KEY


def test_a_crash_while_a_key_is_made_leaves_nothing_that_looks_like_one(tmp_path: Path) -> None:
    file = tmp_path / "kek"

    class Dying(SystemEntropy):
        def token(self, size_bytes: int) -> bytes:
            assert not file.exists()
            raise KeyboardInterrupt(size_bytes)

    with pytest.raises(KeyboardInterrupt):
        ensure_key(file, Dying())
    assert list(tmp_path.iterdir()) == []
    assert ensure_key(file, ENTROPY)
    assert not ensure_key(file, ENTROPY)
    assert len(read_key(file)) == KEY_BYTES
    assert [one.name for one in tmp_path.iterdir()] == ["kek"]


def test_a_secret_is_found_again_by_a_mark_that_only_the_key_can_make() -> None:
    mark = sealer().mark(b"short")
    assert len(mark) == 32
    assert mark == sealer().mark(b"short")
    assert mark not in (sealer().mark(b"shorter"), sealer(ANOTHER_KEY).mark(b"short"))
