"""CSV files: columns, categories, gaps and classes; where things stand in messages."""

import math
import subprocess
import sys
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import chainrule as cr
from chainrule import nn, optim
from chainrule.data import Dataset, read, read_csv
from chainrule.errors import ArgumentError, ChainruleError, DataError, NonFiniteError
from tests.data.saying import says

Reader = Callable[..., Dataset]


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "t.csv"


@pytest.fixture
def reads(path: Path) -> Reader:
    """Write a text and read it; the target is y unless another is named."""

    def call(text: str | bytes, **options: Any) -> Dataset:
        path.write_bytes(text.encode() if isinstance(text, str) else text)
        return read_csv(path, **({"target": "y"} | options))

    return call


@pytest.fixture
def refuses(reads: Reader) -> Callable[..., ChainruleError]:
    def call(text: str | bytes, **options: Any) -> ChainruleError:
        with pytest.raises(ChainruleError) as caught:
            reads(text, **options)
        return caught.value

    return call


# -- numbers ---------------------------------------------------------------------------


def test_a_regression(reads: Reader) -> None:
    made = reads("a,b,y\n1,2.5,3\n-4e1,+.5,6.\n")
    assert made.x.stored.dtype == np.float32
    assert made.x[:].tolist() == [[1, 2.5], [-40, 0.5]]
    assert made.y.dtype == np.float32
    assert made.y.tolist() == [[3], [6]]
    assert made.feature_names == ("a", "b")
    assert (made.name, made.classes, made.class_names) == ("t.csv", None, None)


def test_the_target_may_stand_anywhere_and_be_several(reads: Reader) -> None:
    made = reads("a,y,b,z\n1,2,3,4\n5,6,7,8\n", target=["z", "y"], name="four")
    assert made.x[:].tolist() == [[1, 3], [5, 7]]
    assert made.y.tolist() == [[4, 2], [8, 6]]
    assert made.name == "four"
    made = reads("a,y,b\n1,2,3\n", features=["b", "a"])
    assert made.x[:].tolist() == [[3, 1]]
    assert made.feature_names == ("b", "a")
    assert reads("a,y,b\n1,2,3\n", features="b").x[:].tolist() == [[3]]


def test_numbers_are_exactly_rounded(reads: Reader) -> None:
    texts = ["0.1", "1e-45", "16777217", "9007199254740993", "1.7976931348623157e308"]
    texts += ["2.2250738585072011e-308", "0.30000000000000004", "123456789.123456789"]
    rows = "".join(f"{text},0\n" for text in texts)
    made = reads("x,y\n" + rows, dtype="float64")
    assert made.x.stored.dtype == made.y.dtype == np.float64
    for read_, text in zip(made.x[:, 0].tolist(), texts, strict=True):
        # The nearest float64: its neighbours are not nearer to the exact value.
        exact, got = Fraction(text), Fraction(read_)
        for other in (
            math.nextafter(read_, -math.inf),
            math.nextafter(read_, math.inf),
        ):
            if math.isfinite(other):
                assert abs(got - exact) <= abs(Fraction(other) - exact)


def test_spaces_blank_lines_quotes_and_line_ends(reads: Reader) -> None:
    wanted = [[1, 2], [3, 4]]
    for text in (
        "a,b,y\n1,2,0\n3,4,0\n",
        "a,b,y\n1,2,0\n3,4,0",
        "a,b,y\r\n1,2,0\r\n3,4,0\r\n",
        "a,b,y\r1,2,0\r3,4,0\r",
        " a , b,y\n\n 1,\t2 ,0\n   \n\t\n3, 4,0\n\n\n",
        'a,"b","y"\n"1",2,"0"\n3, "4",0\n',
        "\ufeffa,b,y\n1,2,0\n3,4,0\n",
    ):
        made = reads(text)
        assert made.x[:].tolist() == wanted
        assert made.feature_names == ("a", "b")


def test_delimiters_and_encodings(reads: Reader) -> None:
    for delimiter in ";\t| :":
        text = "甲,乙,y\n1,2,好\n3,4,不好\n".replace(",", delimiter)
        for encoding in ("utf-8", "utf-16", "cp950", "big5", "UTF-8-SIG"):
            made = reads(text.encode(encoding), delimiter=delimiter, encoding=encoding)
            assert made.feature_names == ("甲", "乙")
            assert made.class_names == ("不好", "好")
            assert made.x[:].tolist() == [[1, 2], [3, 4]]


def test_more_rows_than_are_read_at_a_time(
    reads: Reader, monkeypatch: pytest.MonkeyPatch
) -> None:
    rows = [(i, f"k{i % 7}", "yes" if i % 3 else "no") for i in range(100)]
    text = "a,k,y\n" + "".join(f"{a},{k},{y}\n" for a, k, y in rows)
    whole = reads(text, categorical="k")
    for size in (1, 7, 99, 100):
        monkeypatch.setattr("chainrule.data.table.ROWS", size)
        made = reads(text, categorical="k")
        np.testing.assert_array_equal(made.x[:], whole.x[:], strict=True)
        np.testing.assert_array_equal(made.y, whole.y, strict=True)
    assert whole.x[:, 0].tolist() == list(range(100))
    assert whole.y.tolist() == [int(y == "yes") for _, _, y in rows]
    for row, (_, k, _) in enumerate(rows):
        assert whole.x[row, 1:].tolist() == [float(f"k{i}" == k) for i in range(7)]


def test_a_linear_layer_learns_it_without_a_reshape(reads: Reader) -> None:
    rows = "".join(f"{a / 10},{2 * a / 10 + 1}\n" for a in range(20))
    made = reads("a,y\n" + rows)
    cr.manual_seed(0)
    trainer = cr.Trainer(
        nn.Sequential(nn.Linear(1, 1)),
        loss=nn.MSELoss(),
        optimizer=optim.SGD(lr=0.1),
        engine="numpy",
    )
    trainer.fit(made, epochs=200, batch_size=20, progress=False)
    assert trainer.evaluate(made)["loss"] < 1e-4


# -- classes ---------------------------------------------------------------------------


def test_text_makes_classes(reads: Reader) -> None:
    made = reads("a,y\n1,dog\n2, cat \n3,dog\n4,NA\n")
    assert made.class_names == ("NA", "cat", "dog")
    assert made.y.dtype == np.int32
    assert made.y.tolist() == [2, 1, 2, 0]


def test_numbers_are_classes_only_when_asked(reads: Reader) -> None:
    text = "a,y\n1,10\n2,9\n3,10\n4,1\n"
    assert reads(text).classes is None
    assert reads(text, classes="auto").y.shape == (4, 1)
    made = reads(text, classes=True)
    assert made.class_names == ("1", "9", "10")
    assert made.y.tolist() == [2, 1, 2, 0]
    assert reads("a,y\n1,10\n2,x\n", classes=True).class_names == ("10", "x")


def test_classes_by_name(reads: Reader, refuses: Any) -> None:
    made = reads("a,y\n1,b\n2,a\n", classes=["c", "b", "a"])
    assert made.class_names == ("c", "b", "a")
    assert made.y.tolist() == [1, 2]
    error = refuses("a,y\n1,left\n2,rihgt\n", classes=["left", "right"])
    says(error, "class in", "one of left, right", "'rihgt'", "did you mean 'right'?")
    assert "line 3 (row 1, counting from 0), column 'y'" in error.what


def test_a_target_of_numbers_and_text(reads: Reader, refuses: Any) -> None:
    error = refuses("a,y\n1,2\n2,NA\n3,hello\n")
    says(error, "line 4 (row 2,", "names of classes", "'hello'", "classes=True")
    assert "column 'y'" in error.what
    error = refuses("a,y\n1,2\n2,hello\n", classes=False)
    says(error, "line 3 (row 1,", "a number", "'hello'", "classes=True")
    assert reads("a,y\n1,2\n2,hello\n", classes=True).class_names == ("2", "hello")
    error = refuses("a,y,z\n1,2,3\n1,2,?\n", target=["y", "z"])
    says(error, "column 'z'", "a number", "'?'", "classes=True")


def test_one_class_only(refuses: Any) -> None:
    error = refuses("a,y\n1,dog\n2,dog\n")
    says(error, "names one class only", "two classes", "dog", "classes=[…]")


# -- categories ------------------------------------------------------------------------


def test_categories(reads: Reader) -> None:
    text = "a,k,y,n\n1,red,0,10\n2,blue,0,9\n3, red,0,9\n"
    made = reads(text, categorical=("k", "n"))
    assert made.feature_names == ("a", "k=blue", "k=red", "n=9", "n=10")
    assert made.x[:].tolist() == [[1, 0, 1, 0, 1], [2, 1, 0, 1, 0], [3, 0, 1, 1, 0]]
    made = reads(text, features=["k"], categorical={"k": ["red", "green", "blue"]})
    assert made.feature_names == ("k=red", "k=green", "k=blue")
    assert made.x[:].tolist() == [[1, 0, 0], [0, 0, 1], [1, 0, 0]]


def test_an_unknown_category(refuses: Any) -> None:
    error = refuses("k,y\nred,0\nblu,1\n", categorical={"k": ["red", "blue"]})
    says(error, "A category in", "one of red, blue", "'blu'", "did you mean 'blue'?")
    assert "line 3 (row 1, counting from 0), column 'k'" in error.what


def test_too_many_categories(
    reads: Reader, refuses: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    text = "k,y\n" + "".join(f"name{i},0\n" for i in range(1001))
    error = refuses(text, categorical="k")
    says(error, "'k'", "at most 1000", "one more on line 1002", "leave it out")
    assert reads(text.replace("name1000", "name0"), categorical="k").x.shape[1] == 1000
    monkeypatch.setattr("chainrule.data.files.memory", lambda: 4 * 1001 * 1000 - 1)
    error = refuses(text.replace("name1000", "name0"), categorical="k")
    says(error, "too large for this", "half", "0.0 GiB", "Stream.from_csv")


# -- missing values --------------------------------------------------------------------

GAPS = "a,k,y\n1,u,10\n,v,20\n3,,30\nNA,u,NaN\n6,v,50\n"


@pytest.mark.parametrize("text", ["", "NA", "na", "N/A", "#N/A", "NaN", "null", "None"])
def test_what_is_missing(reads: Reader, refuses: Any, text: str) -> None:
    error = refuses(f"a,b,y\n1,2,3\n4,{text},6\n")
    says(error, "line 3 (row 1,", "a number", repr(text), "missing='drop'")
    assert "column 'b'" in error.what
    assert reads(f"a,b,y\n1,2,3\n4,{text},6\n", missing="drop").x[:].tolist() == [
        [1, 2]
    ]
    error = refuses(f"a,b,y\n1,2,3\n4,5,{text}\n")
    says(error, "line 3 (row 1,", "a number", text, "missing='drop'")
    assert "column 'y'" in error.what


def test_rows_with_gaps_are_left_out(reads: Reader) -> None:
    made = reads(GAPS, categorical="k", missing="drop")
    assert made.x[:].tolist() == [[1, 1, 0], [6, 0, 1]]
    assert made.y.tolist() == [[10], [50]]
    made = reads("a,y\n1,cat\n2,\n3,dog\n", missing="drop")
    assert made.y.tolist() == [0, 1]
    made = reads("a,y,z\n1,2,3\n2,,4\n", target=["y", "z"], missing="drop")
    assert made.y.tolist() == [[2, 3]]


def test_means_fill_gaps(reads: Reader) -> None:
    text = "a,b,y\n1,5,1\n,6,2\n4,NA,3\n4,7.5,4\n"
    made = reads(text, missing="mean")
    wanted = np.array([[1, 5], [3, 6], [4, 18.5 / 3], [4, 7.5]], np.float32)
    np.testing.assert_array_equal(made.x[:], wanted, strict=True)
    assert made.format is not None
    assert made.format["missing"] == {"a": 3.0, "b": float(np.float32(18.5 / 3))}
    made = reads(text, missing={"a": -1, "b": 0.5})
    assert made.x[:].tolist() == [[1, 5], [-1, 6], [4, 0.5], [4, 7.5]]


def test_gaps_that_no_mean_fills(refuses: Any) -> None:
    error = refuses("k,y\nu,1\n,2\n", categorical="k", missing="mean")
    says(error, "line 3 (row 1,", "a category", "an empty cell", "missing='drop'")
    for text in ("a,y\n1,1\n2,\n", "a,y\n1,dog\n2,\n"):
        error = refuses(text, missing="mean")
        says(error, "column 'y'", "a number or class", "an empty cell", "='drop'")
    error = refuses("a,y\n1,dog\n2,\n", missing="mean", classes=True)
    says(error, "column 'y'", "a class", "an empty cell", "missing='drop'")
    error = refuses("a,b,y\n1,,1\n2,,2\n", missing="mean")
    says(error, "'b'", "at least one number", "2 missing values", "features=[…]")
    error = refuses("a,b,y\n1,,1\n2,,2\n", missing={"a": 1.0})
    says(error, "column 'b'", "a number", "''", "missing='mean'")
    error = refuses("a,b,y\n1,,1\n2,3,\n", missing="drop")
    says(error, "no row without", "one complete row", "2 rows", "missing='mean'")
    huge = "".join(f"{v},1\n" for v in ("1.7e308", "1.7e308", ""))
    error = refuses("a,y\n" + huge, missing="mean", dtype="float64")
    says(error, "mean of column 'a'", "float64", "inf", "scale")


# -- what is no number -----------------------------------------------------------------


@pytest.mark.parametrize(
    "text",
    [
        "abc",
        "True",
        "1_000",
        "0x10",
        "1 2",
        "--1",
        "1e",
        ".",
        "e5",
        "１２",
        "?",
        "\ufeff1",
    ],
)
def test_text_in_a_column_of_numbers(refuses: Any, text: str) -> None:
    error = refuses(f"a,b,y\n1,2,0\n\n1,{text},0\n")
    assert isinstance(error, DataError)
    says(error, "line 4 (row 1, counting from 0)", "-1.5e3", repr(text), "categorical")
    assert "column 'b'" in error.what
    assert "categorical=['b']" in str(error.fix)


def test_a_byte_order_mark_below_the_header(refuses: Any) -> None:
    error = refuses("a,y\n\ufeff1,2\n")
    says(error, "line 2 (row 0,", "a number", repr("\ufeff1"), "categorical")


def test_lines_are_counted_in_the_file(refuses: Any) -> None:
    text = 'k,b,y\n"two\nlines",1,0\n\n\nu,2,0\n"a\n\n\nb",3,0\nu,4,0\nu,x,0\n'
    error = refuses(text, categorical="k")
    assert "line 12 (row 4, counting from 0), column 'b'" in error.what


@pytest.mark.parametrize("text", ["inf", "-Infinity", "+INF", "1e400", "-1e39"])
def test_numbers_that_are_not_finite(reads: Reader, refuses: Any, text: str) -> None:
    for column, row in (("b", f"1,{text},0"), ("y", f"1,2,{text}")):
        error = refuses(f"a,b,y\n1,2,0\n{row}\n")
        assert isinstance(error, NonFiniteError)
        says(error, "line 3 (row 1,", "float32, up to 3.4e+38", repr(text), "correct")
        assert f"column '{column}'" in error.what
    if text == "-1e39":
        assert reads(f"a,y\n{text},0\n", dtype="float64").x[0, 0] == -1e39


def test_long_cells_are_cut_in_messages(refuses: Any) -> None:
    error = refuses("a,y\n" + "x" * 10_000 + ",0\n")
    assert len(str(error)) < 600


# -- columns ---------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "options", "what", "expected", "got", "fix"),
    [
        (
            "a,b\n1,2\n",
            {},
            "no column 'y', which is the target",
            "a, b",
            "'y'",
            "first",
        ),
        ("a,Y\n1,2\n", {}, "no column 'y'", "a, Y", "'y'", "did you mean 'Y'?"),
        ("a;y\n1;2\n", {}, "no column 'y'", "a;y", "'y'", "delimiter=';'"),
        ("1,2\n3,4\n", {}, "no column 'y'", "1, 2", "'y'", "is the header missing?"),
        (
            "a,y\n1,2\n",
            {"features": ["a", "bb"]},
            "no column 'bb', which is a feature",
            "a, y",
            "'bb'",
            "",
        ),
        (
            "a,y\n1,2\n",
            {"categorical": ["c"]},
            "'c', which is a categorical",
            "a, y",
            "'c'",
            "",
        ),
        ("y\n1\n", {}, "has no features", "besides the target", "columns y", "delim"),
        (
            "a,b,a,y\n1,2,3,4\n",
            {},
            "of one name",
            "differ",
            "'a' as columns 1 and 3",
            "",
        ),
        (",a,y\n0,1,2\n", {}, "Column 1 of", "a name", "empty name", "index=False"),
    ],
)
def test_columns_refused(
    refuses: Any,
    text: str,
    options: dict[str, Any],
    what: str,
    expected: str,
    got: str,
    fix: str,
) -> None:
    error = refuses(text, **options)
    assert isinstance(error, DataError)
    says(error, what, expected, got, fix)


def test_columns_without_a_name_can_be_left_out(reads: Reader) -> None:
    assert reads(",a,y,\n0,1,2,x\n", features=["a"]).x[:].tolist() == [[1]]


# -- arguments -------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("options", "what", "expected", "got", "fix"),
    [
        ({"target": 3}, "target is not a list", "texts", "3", "target='price'"),
        ({"target": ""}, "target names no column", "a column", "''", "target='price'"),
        ({"target": []}, "target names no column", "a column", "[]", "target='price'"),
        ({"target": ["a", "a"]}, "target has a name twice", "differ", "'a'", "rename"),
        ({"features": ["y"]}, "both a feature and", "without", "['y']", "leave it out"),
        ({"features": []}, "features names no", "a column", "[]", "features=["),
        ({"categorical": "y"}, "is the target", "among", "['y']", "classes=True"),
        (
            {"categorical": "col", "features": ["a", "colour"]},
            "'col' is not a feature",
            "a, colour",
            "'col'",
            "did you mean 'colour'?",
        ),
        ({"categorical": {"a": 3}}, "categorical['a']", "texts", "3", "'red'"),
        ({"categorical": {"a": []}}, "categorical['a']", "column", "[]", "'red'"),
        ({"categorical": 3}, "categorical is not", "texts", "3", "colour"),
        ({"classes": 3}, "classes is not a list", "texts", "3", "'cat'"),
        ({"classes": "yes"}, "classes is not a list", "texts", "'yes'", "'cat'"),
        ({"classes": ["a"]}, "fewer than two", "two names", "('a',)", "classes=True"),
        ({"classes": True, "target": ["a", "b"]}, "Several", "one", "'a'", "choose"),
        ({"missing": "men"}, "missing does not", "'mean'", "'men'", "mean 'mean'?"),
        ({"missing": None}, "missing does not", "'mean'", "None", "missing='drop'"),
        ({"missing": {"a": "b"}}, "missing does not", "'mean'", "{'a'", "'drop'"),
        ({"missing": {"a": np.nan}}, "missing does not", "'mean'", "nan", "'drop'"),
        (
            {"missing": {"colur": 0}},
            "missing names 'colur', which is no feature",
            "among a, b, colour",
            "'colur'",
            "did you mean 'colour'?",
        ),
        (
            {"missing": {"b": 0}, "categorical": "b"},
            "missing names 'b'",
            "among a, colour",
            "'b'",
            "",
        ),
        ({"dtype": "int8"}, "this dtype", "'float64'", "'int8'", "dtype='float32'"),
        ({"dtype": "real"}, "this dtype", "'float64'", "'real'", "dtype='float32'"),
        ({"dtype": None}, "this dtype", "'float64'", "None", "dtype='float32'"),
        ({"delimiter": ""}, "delimiter", "one character", "''", "delimiter=','"),
        ({"delimiter": "::"}, "delimiter", "one character", "'::'", "delimiter=','"),
        ({"delimiter": '"'}, "delimiter", "one character", "'\"'", "delimiter=','"),
        ({"delimiter": "1"}, "delimiter", "one character", "'1'", "delimiter=','"),
        ({"delimiter": "，"}, "delimiter", "one character", "'，'", "delimiter=','"),
        ({"delimiter": 7}, "delimiter", "one character", "7", "delimiter=','"),
        ({"encoding": "klingon"}, "no such text", "name", "'klingon'", "'cp950'"),
        ({"encoding": "hex"}, "no such text", "name", "'hex'", "'cp950'"),
        ({"encoding": None}, "no such text", "name", "None", "'cp950'"),
    ],
)
def test_arguments_refused(
    refuses: Any, options: dict[str, Any], what: str, expected: str, got: str, fix: str
) -> None:
    error = refuses("a,b,colour,y\n1,2,3,4\n", **options)
    assert isinstance(error, ArgumentError)
    says(error, what, expected, got, fix)


def test_without_pandas(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pandas", None)
    with pytest.raises(ArgumentError) as caught:
        read_csv(path, target="y")
    says(caught.value, "pandas", "extra data", "ModuleNotFound", "'chainrule[data]'")


def test_pandas_is_loaded_when_it_is_needed() -> None:
    code = "import sys, chainrule.data; print('pandas' in sys.modules)"
    made = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert made.stdout == "False\n"


# -- again -----------------------------------------------------------------------------


def test_another_file_in_the_same_format(reads: Reader, tmp_path: Path) -> None:
    old = reads(
        "a;k;y\n1;u;dog\n;v;cat\n5;w;dog\n".encode("utf-16"),
        categorical="k",
        missing="mean",
        delimiter=";",
        encoding="utf-16",
        dtype="float64",
    )
    assert old.format == {
        "kind": "csv",
        "target": "y",
        "features": ["a", "k"],
        "categorical": {"k": ["u", "v", "w"]},
        "classes": ["cat", "dog"],
        "missing": {"a": 3.0},
        "delimiter": ";",
        "encoding": "utf-16",
        "dtype": "float64",
    }
    assert read(tmp_path / "t.csv", format=old.format).format == old.format
    other = tmp_path / "other.csv"
    other.write_bytes("k;more;y;a\nw;?;dog;\nv;?;cat;8\n".encode("utf-16"))
    new = read(other, format=old.format)
    assert new.x[:].tolist() == [[3, 0, 0, 1], [8, 0, 1, 0]]
    assert new.y.tolist() == [1, 0]
    assert new.feature_names == old.feature_names
    other.write_bytes("a;k\n2;v\n\n4;u\n".encode("utf-16"))
    x, names = read(other, format=old.format, target=False)
    assert x[:].tolist() == [[2, 0, 1, 0], [4, 1, 0, 0]]
    assert names == ("line 2", "line 4")
    for text, what in (
        ("a;k;y\n1;x;dog\n", "A category in"),
        ("a;k;y\n1;u;pig\n", "A class in"),
        ("a;y\n1;dog\n", "no column 'k'"),
        ("a;k\n1;u\n", "no column 'y', which is the target"),
    ):
        other.write_bytes(text.encode("utf-16"))
        with pytest.raises(DataError, match=what):
            read(other, format=old.format)


def test_a_regression_again(reads: Reader, tmp_path: Path) -> None:
    old = reads("a,y,z\n1,2,3\n4,5,6\n", target=["y", "z"], missing="drop")
    assert old.format is not None
    assert old.format["classes"] is False
    other = tmp_path / "other.csv"
    other.write_text("a\n1\n\nNA\n3\n")
    x, names = read(other, format=old.format, target=False)
    assert x[:].tolist() == [[1], [3]]
    assert names == ("line 2", "line 5")
    other.write_text("a\nNA\n")
    with pytest.raises(DataError, match="no row without a missing value"):
        read(other, format=old.format, target=False)
    # One row of one class is no classification of its own; in a known format it is.
    single = reads("a,y\n1,cat\n2,dog\n")
    other.write_text("a,y\n1,cat\n")
    assert read(other, format=single.format or {}).y.tolist() == [0]
