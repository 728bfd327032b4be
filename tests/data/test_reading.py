"""Which reader a format asks for, and formats that no reader made."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from chainrule.data import Dataset, Features, read
from chainrule.errors import ArgumentError
from tests.data.saying import says


@pytest.mark.parametrize(
    ("format", "what", "expected", "got", "fix"),
    [
        (None, "what kind of file", "a reader made", "None", "format=train.format"),
        ("csv", "what kind of file", "a reader made", "'csv'", "format=train.format"),
        ({"target": "y"}, "what kind", "a reader made", "{'target'", "train.format"),
        ({"kind": "cvs"}, "no such choice", "kind='npz'", "'cvs'", "'csv'?"),
        ({"kind": ["csv"]}, "no such choice", "kind='npz'", "['csv']", ""),
        ({"kind": "idx", "scal": 1}, "'idx'", "scale, flatten", "'scal'", "'scale'?"),
        ({"kind": "npz", 7: 1}, "not known", "x, y, scale", "7", ""),
        ({"kind": "idx", "name": "a"}, "not known", "scale, flatten", "'name'", ""),
        ({"kind": "images", "path": 1}, "not known", "size, mode", "'path'", ""),
    ],
)
def test_formats_refused(
    format: Any, what: str, expected: str, got: str, fix: str
) -> None:
    for target in (True, False):
        with pytest.raises(ArgumentError) as caught:
            read("file", format=format, target=target)
        says(caught.value, what, expected, got, fix)


def test_a_format_travels_as_json(tmp_path: Path) -> None:
    np.savez(tmp_path / "a.npz", u=np.eye(2), v=["no", "yes"])
    format = {"kind": "npz", "x": "u", "y": "v"}
    made = read(tmp_path / "a.npz", format=format)
    assert format == {"kind": "npz", "x": "u", "y": "v"}
    assert isinstance(made, Dataset)
    again = read(tmp_path / "a.npz", format=json.loads(json.dumps(made.format)))
    assert again.class_names == ("no", "yes")
    features = read(tmp_path / "a.npz", format=made.format or {}, target=False)
    assert isinstance(features, Features)
    assert features.x.shape == (2, 2)
