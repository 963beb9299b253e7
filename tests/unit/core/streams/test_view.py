"""What the next change of a batch sees, and what it must not guess."""

import pytest

from core.streams.append import REFERRERS_MAX, Found, Needs, ResourceRow
from core.streams.memory import Memory
from core.streams.view import Result, UnreadError, View
from tests.helpers.ledger import NOW, ORG, OTHER


def row(number: int, data: bytes = b"{}", external_id: str = "", *, org: bytes = ORG) -> ResourceRow:
    return ResourceRow(org, "part", bytes([number]) * 16, external_id, data, 1, NOW, NOW)


def found(*rows: ResourceRow) -> Found:
    return Found(
        resources={one.key: one for one in rows},
        externals={(one.organization_id, one.type, one.external_id): one.key for one in rows},
    )


def written(*rows: ResourceRow) -> Result:
    return Result("created", b"", b"", 1, list(rows))


def deleted(*rows: ResourceRow) -> Result:
    return Result("deleted", b"", b"", 1, [], list(rows))


def test_a_view_shows_what_was_read_and_what_was_done_since() -> None:
    old, new = row(1, external_id="a"), row(2, external_id="b")
    view = View(found(old))
    view.apply(written(new))
    above = view.above()
    above.apply(deleted(old))
    assert (view.row(old.key), view.by_external((ORG, "part", "a"))) == (old, old)
    assert (above.row(old.key), above.by_external((ORG, "part", "a"))) == (None, None)
    assert above.by_external((ORG, "part", "b")) == new
    assert above.by_external((ORG, "part", "c")) is None
    above.merge_down()
    assert view.row(old.key) is None
    assert set(view.overlaid()) == {old.key, new.key}


def test_referrers_are_those_that_still_refer() -> None:
    target, stays = row(1), row(2, b'{"p":"pa_1"}')
    leaves, comes = row(3, b'{"p":"pa_1"}'), row(4, b'{"p":"pa_1"}')
    asked = (ORG, "part", "p", "pa_1")
    read = found(target, stays, leaves)
    read.asked.referrers.add(asked)
    read.referrers[asked] = [stays.key, leaves.key]
    view = View(read)
    view.apply(written(row(3), comes, row(5, b'{"p":"pa_1"}', org=OTHER)))
    assert view.referrers(target, "part", "p", "pa_1") == ([stays, comes], True)
    view.apply(deleted(stays, comes))
    assert view.referrers(target, "part", "p", "pa_1") == ([], True)


def test_more_than_were_read_are_not_all() -> None:
    target, asked = row(1), (ORG, "part", "p", "pa_1")
    rows = [row(number + 2, b'{"p":"pa_1"}') for number in range(REFERRERS_MAX + 1)]
    read = found(target, *rows)
    read.asked.referrers.add(asked)
    read.referrers[asked] = [one.key for one in rows]
    assert View(read).referrers(target, "part", "p", "pa_1") == (rows, False)


def test_who_was_never_asked_for_is_asked_for_next() -> None:
    target = row(1)
    view = View(found(target))
    with pytest.raises(UnreadError):
        view.above().referrers(target, "part", "p", "pa_1")
    assert view.unread == Needs(referrers={(ORG, "part", "p", "pa_1")})


def test_what_the_batch_made_has_no_referrer_in_the_database() -> None:
    view = View(found())
    view.apply(written(row(1)))
    assert view.referrers(row(1), "part", "p", "pa_1") == ([], True)
    assert not view.unread


def test_an_event_needs_the_last_offset_of_each_of_its_channels() -> None:
    view, memory = View(found()), Memory({}, 10)
    with pytest.raises(UnreadError) as unread:
        view.require_channels(ORG, ["a", "b"], memory)
    assert unread.value.code.value == "conflict"
    assert view.unread.channels == {(ORG, "a"), (ORG, "b")}
    read = found()
    read.asked.channels |= view.unread.channels
    View(read).require_channels(ORG, ["a", "b"], memory)
