"""Hostile CSV files: a clear error, or the numbers that the csv module sees."""

import csv
import io
import re
from pathlib import Path
from typing import Any

import numpy as np
from hypothesis import strategies as st

from chainrule.data import Stream, examine, read, read_csv
from chainrule.data.tables.options import DTYPES
from tests.data.hostile import damaged, fuzzed, outcome

FILES = [
    b"a,b,y\n1,2,3\n4,5,6\n-7.5,8e2,.5\n",
    b"a,b,y\r\n1,2,cat\r\n4,5,dog\r\n",
    b"\xef\xbb\xbfa,b,y\n1,u,3\n4,v,6\n",
    b'a,"b",y\n"1","x\ny",3\n"4","p,q","6"\n',
    b"y,b,a\nNA,2,\n3,,1\n\n0,nan,inf\n",
    "a,b,y\n1,貓,好\n2,狗,不好\n".encode(),
    b"a;b;y\n1;2;3\n",
    b"a\tb\ty\n1\t2\t3\n4\t\t6\n",
    b"y,a\n1,2\n3,4\n",
    b"a;b;y\n1,5;2020-02-01;1.000,5\n2,5;2020-02-03;2.000,5\n",
    b"a,b,y\n$1,01/02/2003,12 %\n$2,03/04/2003,13 %\n",
    *(
        ("a,b,y\n" + "".join(f"{i},k{i % k},{i % 5}\n" for i in range(30))).encode()
        for k in (2, 7, 30)
    ),
]
WORDS = [
    *(b",", b"\n", b"\r", b'"', b'""', b" ", b"\t", b";", b"\0", b"\xff", b"\xc3"),
    *(b"nan", b"inf", b"1e400", b"1e-400", b"9" * 30, b"-", b"NA", b"\xef\xbb\xbf"),
    *(b"\n\n", b",,", b"\r\n", b"True", b"1_0", b"0x1", "１".encode(), b"\x0b\x0c\x85"),
]
TEXT = st.text('ay,"\n\r \t019.-eE;', max_size=40).map(
    lambda rest: ("a,y\n" + rest).encode()
)
INPUT = damaged(FILES, WORDS) | TEXT | st.binary(max_size=40)
OPTIONS = st.fixed_dictionaries(
    {"target": st.sampled_from(["y", "y", "y", ["y"], ["y", "b"], "column 2"])},
    optional={
        "features": st.sampled_from([["a"], ["b", "a"]]),
        "dtype": st.dictionaries(st.sampled_from("aby"), st.sampled_from(DTYPES)),
        "task": st.sampled_from(["classification", "regression"]),
        "classes": st.just(["cat", "dog"]),
        "missing": st.sampled_from(["drop", "error"]),
        "missing_values": st.just(["3", "u"]),
        "unknown": st.just("error"),
        "decimal": st.sampled_from([".", ","]),
        "delimiter": st.sampled_from([";", "\t", " "]),
        "encoding": st.sampled_from(["utf-16", "cp950", "latin-1"]),
        "header": st.just(False),
    },
)


def check(path: Path, content: bytes, options: dict[str, Any]) -> None:
    options = {"target": "y", **options}
    found: Any = outcome(path, content, lambda: examine(path, **options))
    made: Any = outcome(path, content, lambda: read_csv(path, **options))
    if made is None:
        if found is not None:  # the answers that are proposed are answers
            settings = {**options, **found.settings}
            settings["dtype"] = {
                **options.get("dtype", {}),
                **found.settings.get("dtype", {}),
            }
            made = outcome(path, content, lambda: read_csv(path, **settings))
            able = {"target", "features", "delimiter", "encoding", "header", "decimal"}
            assert made is not None or not set(options) <= able
        return
    assert found is not None
    assert np.isfinite(made.x[:]).all()
    assert made.x.shape[1] == len(made.feature_names)
    if set(options) <= {"target", "encoding", "delimiter"} and options["target"] == "y":
        compare(content, options, made)
    # The format that was learned reads the same file in the same way.
    again = read(path, format=made.format)
    assert again.format == made.format
    np.testing.assert_array_equal(again.x.stored, made.x.stored, strict=True)
    np.testing.assert_array_equal(again.y, made.y, strict=True)
    if len(content) % 8 == 0:
        stream = Stream.from_csv(path, **options)
        x = np.concatenate([x for x, _ in stream.blocks(2)])
        np.testing.assert_array_equal(x, made.x.stored, strict=True)


def compare(content: bytes, options: dict[str, Any], made: Any) -> None:
    """Plain numbers and lines, cell by cell, against Python's csv module."""
    text = content.decode(options.get("encoding", "utf-8-sig"), errors="replace")
    delimiter = options.get("delimiter")
    if delimiter is None or "\ufffd" in text:
        return
    lines = io.StringIO(text, newline="")
    reader = csv.reader(lines, delimiter=delimiter, skipinitialspace=delimiter != " ")
    rows, line = {}, 1
    for row in reader:
        rows[line], line = [cell.strip() for cell in row], reader.line_num + 1
    header = next(row for row in rows.values() if len(row) > 1 or any(row))
    for name in set(made.feature_names) & set(header):
        # Where rows have a cell more than the header, the first is the row's own name.
        column = header.index(name) + len(rows[int(made.lines[0])]) - len(header)
        for x, at in zip(made.x[:, made.feature_names.index(name)], made.lines):
            if re.fullmatch(r"-?[0-9]+(\.[0-9]+)?", cell := rows[int(at)][column]):
                assert x == np.float32(float(cell))


test_a_few, test_many = fuzzed(check, INPUT, OPTIONS)
