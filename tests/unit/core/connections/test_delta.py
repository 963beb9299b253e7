"""Patches: the official client makes the next document of them, and they are worth sending."""

import orjson
import pytest
from centrifuge.fossil import apply_delta
from hypothesis import given
from hypothesis import strategies as st

from core.connections.delta import DOCUMENT_BYTES_MAX, EFFORT_MAX, patch_of

PLAYERS = [{"id": number, "name": f"player {number}", "score": number * 37 % 101} for number in range(200)]
SCALARS = st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.text(max_size=20)
DOCUMENTS = st.recursive(
    SCALARS, lambda inner: st.lists(inner) | st.dictionaries(st.text(max_size=8), inner), max_leaves=40
)
PIECES = st.binary(max_size=80) | st.sampled_from([b"\0" * 64, b"ab" * 40, "žluťoučký kůň 🐎".encode() * 4])


def patched(base: bytes, target: bytes) -> bytes:
    """Return the patch, once the client has made the target of it."""
    patch = patch_of(base, target)
    assert patch is not None
    assert len(patch) < len(target)
    assert apply_delta(base, patch) == target
    return patch


def scores(players: list[dict[str, object]], **changed: object) -> bytes:
    return orjson.dumps({"players": players, **changed})


def test_the_same_document_again_is_one_copy() -> None:
    assert patched(b"0123456789abcdef" * 4, b"0123456789abcdef" * 4).startswith(b"10\n10@0,")


def test_a_change_in_one_place_brings_that_place_alone() -> None:
    target = scores([*PLAYERS[:100], {"id": 100, "name": "the new one", "score": 1}, *PLAYERS[101:]])
    assert len(patched(scores(PLAYERS), target)) < 60


def test_changes_in_many_places_are_found_between_the_ends() -> None:
    target = [{**player, "score": -1} if player["id"] in {20, 90, 160} else player for player in PLAYERS]
    assert len(patched(scores(PLAYERS), scores(target))) < 120


def test_what_moved_is_copied_from_where_it_was() -> None:
    assert len(patched(scores(PLAYERS), scores(PLAYERS[50:] + PLAYERS[:50]))) < 120


def test_a_copy_goes_on_in_the_base_where_the_last_one_left_off() -> None:
    base = b"-" + b"x" * 400 + b"+"
    target = b"(" + b"x" * 150 + b"y" + b"x" * 249 + b")"
    assert len(patched(base, target)) < 40


def test_what_stands_in_the_base_twice_is_found_though_there_is_nothing_behind_its_second_place() -> None:
    twice = b"a block that stands there twice. "
    assert len(patched(b"<" + twice * 2 + b">", b"[" + twice + b"and" + twice * 3 + b"]")) < 80


@pytest.mark.parametrize(
    ("base", "target"),
    [(b"", b""), (b"x" * 99, b""), (b"", b"x" * 99), (b"12345", b"12346"), (b"a" * 50, b"b" * 50)],
)
def test_without_enough_in_common_there_is_no_patch(base: bytes, target: bytes) -> None:
    assert patch_of(base, target) is None


def test_a_patch_that_only_the_checksum_makes_too_long_is_none() -> None:
    block = b"the only block.."
    target = b"x" * 30 + block + b"y" * 30
    assert patch_of(b"z" * 64 + block, target) is None
    assert patched(b"z" * 64 + block * 2, target + block)


def test_longer_documents_are_not_compared() -> None:
    longest = b"x" * DOCUMENT_BYTES_MAX
    patched(longest, longest)
    assert patch_of(longest, longest + b"x") is None
    assert patch_of(longest + b"x", longest) is None


def test_only_so_much_is_looked_up() -> None:
    known = bytes(range(256))
    foreign = b"\xff\xfe" * (EFFORT_MAX // 4)
    base = b"<" + known + b">"
    assert len(patched(base, b"(" + foreign + known + b")")) < len(foreign) + 30
    assert patch_of(base, b"(" + foreign * 2 + known + b")") is None


def test_the_patch_of_utf_8_never_cuts_a_character() -> None:
    # U+017E, U+0140 and U+01BE share their first or their last byte, the horses three of four.
    base = ("ž" * 30 + "🐎" * 30 + "end" * 10).encode()
    target = ("ž" * 30 + "ŀ" + "ž" * 30 + "🐎" * 29 + "🐏" + "🐎" * 20 + "ƾ" + "end" * 10).encode()
    assert patched(base, target).decode()


@given(st.binary(max_size=300), st.binary(max_size=300))
def test_any_two_documents_have_none_or_a_smaller_patch(base: bytes, target: bytes) -> None:
    if patch_of(base, target) is not None:
        patched(base, target)


@given(st.lists(PIECES, max_size=12), st.data())
def test_pieces_in_any_order_are_put_together_again(pieces: list[bytes], data: st.DataObject) -> None:
    others = data.draw(
        st.lists(st.sampled_from(pieces) | PIECES, max_size=12) if pieces else st.lists(PIECES)
    )
    base, target = b"".join(pieces), b"".join(others)
    if patch_of(base, target) is not None:
        patched(base, target)


@given(DOCUMENTS, DOCUMENTS, st.lists(DOCUMENTS, max_size=3))
def test_the_patch_of_json_can_stand_in_a_json_string(old: object, new: object, around: list[object]) -> None:
    base, target = orjson.dumps([*around, old, *around]), orjson.dumps([*around, new, *around])
    if patch_of(base, target) is not None:
        assert patched(base, target).decode().encode() == patch_of(base, target)


@given(st.text(alphabet="žŀƾ🐎🐏aé", max_size=120), st.text(alphabet="žŀƾ🐎🐏aé", max_size=120))
def test_the_patch_of_any_utf_8_is_utf_8(old: str, new: str) -> None:
    base, target = (old + new + old).encode(), (new + old + new).encode()
    if patch_of(base, target) is not None:
        assert patched(base, target).decode()
