"""Tables that tests write and read."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from chainrule.data import Dataset, read_csv
from chainrule.errors import ChainruleError

Reader = Callable[..., Dataset]
MANY = range(60)


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


def table(*columns: str, mark: str = ",") -> str:
    """A table of 60 rows; ``{i}`` in a cell is the number of the row."""
    heads, cells = zip(*(column.split("=", 1) for column in columns), strict=True)
    made = [mark.join(heads)]
    for i in MANY:
        row = [eval(f"f'''{cell} '''", {"i": i})[:-1] for cell in cells]
        made.append(mark.join(row))
    return "\n".join(made) + "\n"


Y = "y={i % 7 + 0.5}"
