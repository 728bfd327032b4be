"""CSV files as tables of text: what is no table, and on which line."""

from pathlib import Path

import numpy as np
import pytest

from chainrule.data.cells import parsed
from chainrule.data.table import Table
from chainrule.errors import DataError
from tests.data.saying import says


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "t.csv"


def test_a_table(path: Path) -> None:
    path.write_text('\n\n a,"b ""c""",\n\n1,"x\ny", \n 2 ,"p,q",é\n')
    table = Table.of(path)
    assert table.columns == ("a", 'b "c"', "")
    assert table.rows == 2
    assert [table.line(row) for row in range(2)] == [5, 7]
    assert table.place(1, "a") == "line 7 (row 1, counting from 0), column 'a'"
    chunks = list(table.chunks(["a", 'b "c"', ""]))
    assert chunks == [(0, {"a": ["1", "2"], 'b "c"': ["x\ny", "p,q"], "": ["", "é"]})]


def test_lines_of_rows(path: Path) -> None:
    # A blank line, a cell of three lines, and rows without either between them.
    path.write_text('a\n1\n2\n\n3\n"4\n4\n4"\n5\n6\n')
    table = Table.of(path)
    assert [table.line(row) for row in range(6)] == [2, 3, 5, 6, 9, 10]
    assert table.jumps == ((0, 2), (2, 5), (4, 9))


@pytest.mark.parametrize(
    ("content", "what", "expected", "got", "fix"),
    [
        (b"", "is empty", "header", "no line", "program"),
        (b"\n \r\n\t\n", "is empty", "header", "no line", "program"),
        (b"a,b\n", "has no rows", "below it", "2 columns alone", "only one"),
        (b"a,b\n\n\n", "has no rows", "below it", "2 columns alone", "only one"),
        (b"a,b\n1,2\n3\n", "Line 3 of", "2 cells", "1: 3", "quote cells"),
        (b"a,b\n1,2,3\n", "Line 2 of", "2 cells", "3: 1, 2, 3", "quote cells"),
        (b'a,b\n"\n\n",2\n3\n', "Line 5 of", "2 cells", "1: 3", "quote cells"),
        (b'a,b\n1,"2\n3,4\n', "cannot be read", "CSV", "line 2: unexpected end", "edi"),
        (b'a,b\n1,"2"3\n', "cannot be read", "CSV", "line 2: ',' expected", "editor"),
        (b'"a,b\n1,2\n', "cannot be read", "CSV", "line 1: unexpected end", "editor"),
        (b"a,b\n1," + b"2" * 200_000, "cannot", "CSV", "line 2: field larger", "edit"),
        (b"a,b\n1,\x00\n", "cannot be read", "CSV", "line 2: a NUL", "utf-16"),
        (b"a,b\n1,\xe9\n", "not text in utf-8", "utf-8", "line 2: 'utf-8'", "cp950"),
        (b"a,b\n1,\xe4\xb8", "not text in utf-8", "utf-8", "its end: 'utf-8'", "save"),
        (b"\xff\xfea\0,\0", "not text in utf-8", "utf-8", "line 1: 'utf-8'", "utf-16"),
        (b"a,a \n1,2\n", "two columns of one name", "differ", "'a' as columns 1", ""),
    ],
)
def test_what_is_no_table(
    path: Path, content: bytes, what: str, expected: str, got: str, fix: str
) -> None:
    path.write_bytes(content)
    with pytest.raises(DataError) as caught:
        Table.of(path)
    says(caught.value, what, expected, got, fix)
    assert "t.csv" in caught.value.what


def test_a_file_that_changes(path: Path) -> None:
    path.write_text("a,b\n1,2\n3,4\n")
    table = Table.of(path)
    path.write_text("a,b\n1,2\n")
    with pytest.raises(DataError) as caught:
        list(table.chunks(["a"]))
    says(caught.value, "cannot be read", "CSV", "2 rows, or 1", "editor")
    path.write_text('a,b\n1,"2\n')
    with pytest.raises(DataError, match="EOF inside string"):
        list(table.chunks(["a"]))


def test_paths(tmp_path: Path, path: Path) -> None:
    path.write_text("a\n1\n")
    with pytest.raises(DataError) as caught:
        Table.of(tmp_path / "tt.csv")
    says(caught.value, "no CSV file", "a file", "nothing there", "mean 't.csv'?")
    with pytest.raises(DataError) as caught:
        Table.of(tmp_path)
    says(caught.value, "no CSV file", "a file", "not a file", "paths count from")
    with pytest.raises(DataError, match="no CSV file"):
        Table.of(tmp_path / "no" / "folder.csv")


def test_parsed() -> None:
    right = ["0", "-0", "+1", "1.", ".5", "1e3", "1E-3", "007", "1" * 400]
    values = parsed(right)
    assert values.tolist() == [float(text) for text in right]
    mixed = parsed(["1", "x", "", "inf", "-Infinity", "1_0", "nan", "1e", "٣", " 1"])
    wanted = [1, *[np.nan] * 2, np.inf, np.inf, *[np.nan] * 5]
    np.testing.assert_array_equal(mixed, wanted)
    assert parsed([]).shape == (0,)
