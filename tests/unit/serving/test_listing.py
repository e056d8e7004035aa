"""Pages: every record once, in order, whatever is asked for."""

from __future__ import annotations

import base64
from dataclasses import dataclass, replace

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from saker.core.errors import InvalidInput
from saker.serving.listing import Page, Query, page


@dataclass(frozen=True)
class Record:
    """What a listing sees of an endpoint."""

    name: str
    created_at: float
    modified_at: float = 0.0
    status: str = "InService"


TIMES = st.sampled_from([0.0, 1.0, 1.5, 1767225600.123456])  # few, so that many records share one
RECORDS = st.lists(
    st.builds(Record, st.text("ab-0", min_size=1, max_size=4), TIMES, TIMES, st.sampled_from(["Failed", "InService"])),
    unique_by=lambda record: record.name,
    max_size=12,
)
SORTS = st.sampled_from(["name", "created_at", "modified_at", "status"])
QUERIES = st.builds(Query, sort_by=SORTS, is_descending=st.booleans(), limit=st.integers(1, 5))


def all_pages(records: list[Record], query: Query) -> list[Page[Record]]:
    pages = [page(records, query)]
    while (token := pages[-1].token) is not None:
        assert len(pages) <= len(records), "the pages do not end"
        pages.append(page(records, replace(query, token=token)))
    return pages


@given(RECORDS, QUERIES)
def test_the_pages_hold_every_record_once_and_in_order(records: list[Record], query: Query) -> None:
    pages = all_pages(records, query)
    found = [record for one in pages for record in one.items]

    def key(record: Record) -> tuple[object, str]:
        return getattr(record, query.sort_by), record.name

    assert found == sorted(records, key=key, reverse=query.is_descending)  # type: ignore[arg-type,unused-ignore]  # one attribute sorts
    assert all(len(one.items) == query.limit for one in pages[:-1])
    assert bool(pages[-1].items) == bool(records)


@given(RECORDS, QUERIES, st.data())
def test_deleting_and_adding_between_pages_hides_and_repeats_no_other_record(
    records: list[Record], query: Query, data: st.DataObject
) -> None:
    first = page(records, query)
    if first.token is None:
        return
    gone = data.draw(st.sampled_from(records))
    new = Record("new", data.draw(TIMES))
    rest = [record for record in records if record != gone] + [new]

    later = [record for one in all_pages(rest, replace(query, token=first.token)) for record in one.items]

    others = [record for record in [*first.items, *later] if record not in (gone, new)]
    assert sorted(r.name for r in records if r != gone) == sorted(r.name for r in others)


@given(st.text(max_size=40))
def test_any_text_as_a_token_is_read_or_refused(token: str) -> None:
    try:
        found = page([Record("a", 1.0)], Query(token=token))
    except InvalidInput:
        return

    assert found.token is None


def encoded(content: object) -> str:
    return base64.urlsafe_b64encode(msgspec.json.encode(content)).decode()


GOOD = ("created_at", True, 1.0, "", "a")


@pytest.mark.parametrize(
    "token",
    [
        "",
        "!",
        encoded(GOOD)[:-3],  # cut short
        encoded(GOOD) + "\n",
        encoded([]),
        encoded((*GOOD, "more")),
        encoded(("created_at", True, "1.0", "", "a")),
        encoded(("created_at", True, None, "", "a")),
        encoded(("name", True, 0.0, "a", "a")),  # of a listing in another order
        encoded(("created_at", False, 1.0, "", "a")),  # of the other direction
        base64.b64encode(b"[" * 100_000).decode(),  # nested too deep to read
        base64.b64encode(b'["created_at",true,NaN,"","a"]').decode(),
        "é",
    ],
)
def test_a_token_of_no_such_listing_is_refused(token: str) -> None:
    with pytest.raises(InvalidInput, match="The pagination token is invalid") as caught:
        page([Record("a", 1.0)], Query(token=token))

    assert caught.value.code == "ValidationException"


def test_the_defaults_are_ten_of_the_newest() -> None:
    records = [Record(f"r{i:02}", float(i)) for i in range(12)]

    found = page(records, Query())

    assert [f"r{i:02}" for i in range(11, 1, -1)] == [record.name for record in found.items]


def test_names_are_filtered_without_regard_to_case() -> None:
    records = [Record("Demo-1", 1.0), Record("other", 2.0)]

    assert [records[0]] == page(records, Query(name_contains="deMO")).items


def test_times_are_filtered_with_both_ends() -> None:
    records = [Record(str(i), float(i)) for i in range(5)]
    query = Query(created_after=1.0, created_before=3.0, is_descending=False)

    assert records[1:4] == page(records, query).items


def test_what_is_not_kept_does_not_count_for_the_limit() -> None:
    records = [Record(str(i), float(i)) for i in range(6)]

    found = page(records, Query(limit=2, is_descending=False), lambda record: record.created_at % 2 == 0)

    assert [records[0], records[2]] == found.items
    assert found.token is not None
