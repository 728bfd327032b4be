"""A test of a table tries all rows, and its errors name theirs."""

from __future__ import annotations

import pytest

from tests.rows import table

pytest_plugins = ["pytester"]


def test_every_row_is_tried_and_those_that_fail_are_named() -> None:
    @table(("a", "b"), [(1, 1), (1, 2), (None, 1), (2, 2), (3, 4)])
    def check(a: int, b: int, seen: list[int]) -> None:
        seen.append(b)
        if a is None:
            with pytest.raises(ValueError):
                int("1")
        assert a == b

    seen: list[int] = []
    with pytest.raises(ExceptionGroup) as caught:
        check(seen=seen)
    assert seen == [1, 2, 1, 2, 4]
    errors = caught.value.exceptions
    assert [e.__notes__ for e in errors] == [
        ["the row was 1, 2"],
        ["the row was None, 1"],
        ["the row was 3, 4"],
    ]
    assert "DID NOT RAISE" in str(errors[1])


def test_the_other_parameters_are_fixtures(pytester: pytest.Pytester) -> None:
    pytester.makepyfile(
        """
        import pytest
        from tests.rows import table

        @pytest.fixture
        def most(): return 3

        @table("n", [1, 2, 4, 5], ids="number {}".format)
        def test_it(n, most): assert n <= most
        """
    )
    result = pytester.runpytest_inprocess("-p", "no:xdist", "-o", "addopts=")
    result.assert_outcomes(failed=1)
    shown = result.stdout.str()
    assert "the row was number 4" in shown
    assert "the row was number 5" in shown
    assert "number 2" not in shown
