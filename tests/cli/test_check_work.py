"""``chainrule check-work`` and ``chainrule worksheet``, as a student uses them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests.cli.conftest import one_message

SPEC = "2-2sigmoid-1sigmoid"


@pytest.fixture
def answers(chainrule: Any) -> Any:
    """The command line, in a folder with a sheet of right answers: ``a.toml``."""
    made = chainrule("worksheet", SPEC, "--format", "toml", "--answers", "--seed", "4")
    Path("a.toml").write_text(made.out, encoding="utf-8")
    return chainrule


def changed(old: str, new: str) -> None:
    text = Path("a.toml").read_text(encoding="utf-8")
    assert old in text
    Path("a.toml").write_text(text.replace(old, new), encoding="utf-8")


def line(key: str, text: str | None = None) -> str:
    """The last line of the file that gives this key."""
    text = text or Path("a.toml").read_text(encoding="utf-8")
    return [row for row in text.splitlines() if row.startswith(f"{key} =")][-1]


def test_right(answers: Any) -> None:
    result = answers("check-work", "a.toml")
    assert (result.code, result.err) == (0, "")
    assert "All 15 answers are right." in result.out


def test_wrong(answers: Any) -> None:
    changed(line("delta2"), "delta2 = [9.0]")
    result = answers("check-work", "a.toml", "--json")
    assert result.code == 1
    assert result.json["first"] == "delta2"
    assert answers("check-work", "a.toml").code == 1
    told = answers("check-work", "a.toml", "--lang", "zh-TW").out
    assert "第一個錯的是 δ⁽²⁾" in told
    for form, mark in (("md", "# "), ("html", "<h1>")):
        assert mark in answers("check-work", "a.toml", "--format", form).out


@pytest.mark.one_in(3)
@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        ("network =", "netwrok =", ("line 3", "did you mean network?")),
        ('"half_squared"', '"half_sqared"', ("[loss]", "'half_squared'")),
        (SPEC, "2-2sigmod-1", ("[network]", "2-2sigmoid-1")),
        ("z1 =", "zz1 =", ("[answers] zz1", "line 16")),
        ("[answers]", "[answer]", ("[answer]", "did you mean answers?")),
        ("lr = ", "lr = [] #", ("[lr]",)),
        ("lr = ", "lr = 0.0 #", ("[lr]", "above zero")),
        ("lr = ", "lr = -0.1 #", ("[lr]", "above zero")),
        ("lr = ", "lr = nan #", ("[lr]", "nan")),
        ("lr = ", "lr = true #", ("[lr]", "above zero")),
        ("lr = ", 'optimizer = "Adam" #', ("[optimizer]", "table of options")),
        ("lr = ", 'optimizer = { class = "Adma", lr = 1 } #', ("[optimizer]", "Adma")),
        (
            "lr = ",
            'optimizer = { class = "SGD", lr = -1.0 } #',
            ("[optimizer]", "above zero"),
        ),
        (
            "lr = ",
            'optimizer = { class = "Adam", lr = 1.0, beta = 1 } #',
            ("beta", "betas"),
        ),
        (
            "lr = ",
            'optimizer = { class = "NAdam", lr = 1 } #',
            ("[optimizer]", "not marked"),
        ),
        (
            "lr = ",
            'optimizer = { class = "SGD", lr = 1.0 }\nlr = ',
            ("η is given twice",),
        ),
        ("lr = ", "optimizer = {} #", ("[optimizer]", "class is missing")),
        ("lr = ", 'optimizer = { class = "SGD" } #', ("[optimizer]", "lr is missing")),
        ("z1 =", "mW1 = 1\nz1 =", ("[answers] mW1", "line 16")),
        ("lr = ", "# ", ("without η",)),
        ("x = [", "x = [1.0, ", ("x does not fit",)),
        ("x = [", "x = [nan, ", ("[x]", "nan")),
        ("y = [", 'y = ["a", ', ("[y]",)),
        ("L = ", 'L = "?" #', ()),
        ("L = ", "L = nan #", ("[answers] L", "nan")),
        ("[weights]", "[weights]\nW7 = 1", ("[weights] W7",)),
        ("network = ", "network = 3 #", ("this is a text",)),
        ("network = ", "sizes = [2, 2, 1] #", ("activations",)),
        ("z1 = [", "z1 = [?, ", ("not TOML", "put")),
    ],
)
def test_files_that_are_wrong(
    answers: Any, old: str, new: str, words: tuple[str, ...]
) -> None:
    changed(old, new)
    result = answers("check-work", "a.toml")
    if not words:
        assert result.code == 0
        return
    one_message(result, 2, "a.toml", *words)


def test_a_weight_that_is_missing(answers: Any) -> None:
    text = Path("a.toml").read_text(encoding="utf-8")
    first = next(row for row in text.splitlines() if row.startswith("b2 ="))
    Path("a.toml").write_text(text.replace(first + "\n", "", 1), encoding="utf-8")
    one_message(answers("check-work", "a.toml"), 2, "weights", "no b2")


def test_sizes_and_activations_in_place_of_a_description(answers: Any) -> None:
    changed(
        f'network = "{SPEC}"',
        'sizes = [2, 2, 1]\nactivations = ["sigmoid", "sigmoid"]',
    )
    assert answers("check-work", "a.toml").code == 0


def test_no_file(chainrule: Any) -> None:
    one_message(chainrule("check-work", "no.toml"), 2, "no.toml")
    one_message(chainrule("check-work", "no.csv"), 2, "no.csv")


# -- answers in a table ----------------------------------------------------------------


def numbers(key: str) -> Any:
    import tomllib

    text = Path("a.toml").read_text(encoding="utf-8")
    return tomllib.loads(text)["answers"][key]


def test_two_columns(answers: Any) -> None:
    rows = ["quantity,value", f"L,{numbers('L')}"]
    rows += [f"z1,{v}" for v in numbers("z1")]
    rows += [f"dW1,{v}" for row in numbers("dW1") for v in row]
    Path("a.csv").write_text("\n".join(rows), encoding="utf-8")
    assert answers("check-work", "a.csv").code == 0
    Path("ada.csv").write_text("\n".join(rows), encoding="utf-8")
    one_message(answers("check-work", "ada.csv"), 2, "ada.toml")
    assert answers("check-work", "ada.csv", "--task", "a.toml").code == 0


def test_four_columns(answers: Any) -> None:
    rows = ["quantity,row,column,value", f"L,,,{numbers('L')}"]
    for i, row in enumerate(numbers("dW1"), 1):
        rows += [f"dW1,{i},{j},{v}" for j, v in enumerate(row, 1)]
    Path("a.csv").write_text("\n".join(rows), encoding="utf-8")
    assert answers("check-work", "a.csv").code == 0


@pytest.mark.one_in(3)
@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "an empty line"),
        ("a,b\n1,2", "other columns"),
        ("quantity;value\nz1;0,5", "commas between the cells"),
        ("quantity\tvalue\nz1\t0.5", "commas between the cells"),
        ("quantity,value", "a.csv has no answers"),
        ("quantity,value\nz1,\nz1,?", "a.csv has no answers"),
        ("quantity,value\nz1,0,5", "a decimal point is a point"),
        ("quantity,value\nz1,1\n,2", "a.csv, line 3, column quantity"),
        ("quantity,value\nz1,1\nz9,2", "a.csv, line 3, column quantity"),
        ("quantity,value\nz1,1\nz1,\nz2,3", "a.csv, line 2, column quantity"),
        ("quantity,value\nz1,1\nz1,1\nz^(1),2", "a.csv, line 4, column quantity"),
        ("quantity,value\nL,1\nz1,nan", "a.csv, line 3, column value"),
        ("quantity,value\nL,1\nz1,1e999", "a.csv, line 3, column value"),
        ("quantity,value\nL,1\nz1,٣", "a.csv, line 3, column value"),
        ("quantity,value\nL,1\nz1,3²", "a.csv, line 3, column value"),
        ("quantity,value\n" + "z1,0.5\n" * 40_000, "too large"),
        ("quantity,value\nz1", "line 2"),
        ("quantity,value\nqq9,1", "qq9"),
        ("quantity,value\nz1,x\nz1,2", "a.csv, line 2, column value: z1 must be"),
        ("quantity,row,column,value\nz1,0,1,2", "a.csv, line 2, column row"),
        ("quantity,row,column,value\nz1,1,x,2", "a.csv, line 2, column column"),
        ("quantity,row,column,value\nz1,1,1,2\nz1,1,1,3", "already"),
        ("quantity,row,column,value\ndW1,1,1,2\ndW1,2,2,3", "not complete"),
        ('quantity,value\n"z1,1', "a.csv, line 2"),
    ],
)
def test_tables_that_are_wrong(answers: Any, text: str, words: str) -> None:
    Path("a.csv").write_text(text, encoding="utf-8")
    result = answers("check-work", "a.csv")
    one_message(result, 2, "a.csv", words)
    assert "a.toml" not in result.err
    told = answers("check-work", "a.csv", "--lang", "zh-TW").err
    assert told.startswith("錯誤：a.csv")


@pytest.mark.parametrize(
    "change",
    [
        lambda text: b"\xef\xbb\xbf" + text.encode(),
        lambda text: text.replace("\n", "\r\n").encode(),
        lambda text: text.replace("\n", "\r").encode(),
        lambda text: text.translate({46: 0xFF0E, 48: 0xFF10, 45: 0xFF0D}).encode(),
    ],
    ids=["BOM", "Windows", "Mac", "full-width"],
)
def test_tables_as_other_programs_write_them(answers: Any, change: Any) -> None:
    rows = ["quantity,value", *(f"z1,{v}" for v in numbers("z1"))]
    Path("a.csv").write_bytes(change("\n".join(rows) + "\n"))
    assert answers("check-work", "a.csv").code == 0


@pytest.mark.parametrize("coding", ["utf-16", "big5"])
def test_tables_in_another_coding(answers: Any, coding: str) -> None:
    Path("a.csv").write_bytes("quantity,value\nz1,0.5,中\n".encode(coding))
    one_message(answers("check-work", "a.csv"), 2, "a.csv is not in UTF-8", "save it")


def test_a_task_beside_a_toml_file(answers: Any) -> None:
    one_message(answers("check-work", "a.toml", "--task", "a.toml"), 2, "--task")


def test_files_cut_anywhere(answers: Any) -> None:
    text = Path("a.toml").read_text(encoding="utf-8")
    for end in range(0, len(text), 37):
        Path("cut.toml").write_text(text[:end], encoding="utf-8")
        result = answers("check-work", "cut.toml")
        assert result.code in (0, 1, 2)
        assert "Internal" not in result.err


# -- worksheets ------------------------------------------------------------------------


@pytest.mark.parametrize("form", ["text", "md", "latex", "html", "toml"])
def test_worksheets(chainrule: Any, form: str) -> None:
    one = chainrule("worksheet", SPEC, "--format", form)
    other = chainrule("worksheet", SPEC, "--format", form, "--answers")
    assert one.code == other.code == 0
    assert one.out == chainrule("worksheet", SPEC, "--format", form).out
    assert one.out != other.out


def test_worksheet_as_data(chainrule: Any) -> None:
    data = chainrule("worksheet", SPEC, "--json", "--answers").json
    assert data["questions"] == list(data["answers"])


def test_worksheets_that_are_refused(chainrule: Any) -> None:
    one_message(chainrule("worksheet", "2-3tnah-1"), 2, "2-3tanh-1")
    one_message(chainrule("worksheet", "2-9-1"), 2, "by hand")


def test_a_step_of_an_optimiser(answers: Any) -> None:
    """Adam's first step has the length η, whatever the gradient."""
    import tomllib

    text = Path("a.toml").read_text(encoding="utf-8")
    given = tomllib.loads(text)
    g, old = given["answers"]["db2"][0], given["weights"]["b2"][0]
    changed(line("lr"), 'optimizer = { class = "Adam", lr = 0.1 }')
    changed(line("b2"), f"b2 = [{old - 0.1 * (1 if g > 0 else -1)}]")
    changed("[answers]", f"[answers]\nmb2 = [{0.1 * g}]\nv_b2 = [{g * g}]")
    marks = answers("check-work", "a.toml", "--json").json["marks"]
    found = {m["quantity"]: m for m in marks}
    assert found["b2"]["mark"] == found["mb2"]["mark"] == "right"
    assert "missing" in [slip["slip"] for slip in found["vb2"]["slips"]]
    assert "(b⁽²⁾)′" in answers("check-work", "a.toml").out


def test_a_cell_of_two_lines_is_no_number(answers: Any) -> None:
    Path("a.csv").write_text('quantity,value\nz2,"0.1\n213"\n', encoding="utf-8")
    one_message(answers("check-work", "a.csv"), 2, "z2")
