"""The tree of errors."""

from __future__ import annotations

import pytest

from saker.core import errors
from saker.core.errors import BY_NAME, SakerError


def subclasses(cls: type[SakerError]) -> list[type[SakerError]]:
    return [found for child in cls.__subclasses__() for found in (child, *subclasses(child))]


def test_what_why_and_fix_read_as_one_text() -> None:
    error = SakerError("It is full.", why="It holds 2 of 2.", fix="Empty it.")

    assert str(error) == "It is full. It holds 2 of 2. Empty it."


def test_parts_that_are_left_out_leave_no_gap() -> None:
    assert str(SakerError("It is full.", fix="Empty it.")) == "It is full. Empty it."
    assert str(SakerError("It is full.")) == "It is full."


def test_every_error_can_cross_a_process_border_by_its_name() -> None:
    defined_here = {cls for cls in subclasses(SakerError) if cls.__module__ == errors.__name__}

    assert defined_here == set(BY_NAME.values())
    assert all(name == cls.__name__ for name, cls in BY_NAME.items())


@pytest.mark.parametrize("cls", BY_NAME.values())
def test_the_drawing_at_the_top_of_the_module_shows_every_error(cls: type[SakerError]) -> None:
    assert f" {cls.__name__} " in (errors.__doc__ or "").replace("\n", " \n")


@pytest.mark.parametrize("cls", BY_NAME.values())
def test_every_error_says_whose_fault_it_is(cls: type[SakerError]) -> None:
    server = {"Unavailable", "DeadlineExceeded", "EngineFailure", "Internal"}

    assert cls.fault == ("server" if cls.__name__ in server else "client")


def test_only_what_may_pass_by_itself_is_worth_trying_again() -> None:
    assert {name for name, cls in BY_NAME.items() if cls.is_retry_safe} == {"Throttled", "Unavailable"}
