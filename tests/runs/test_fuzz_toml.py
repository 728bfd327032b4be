"""Whatever a run's file says: checked settings or a clear error, and nothing else.

With many more examples: ``pytest -m slow tests/runs/test_fuzz_toml.py``; texts with
bytes that are lost, doubled or foreign: ``tests/fuzz``.
"""

from __future__ import annotations

import gc
import json
import re
import time
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from chainrule.errors import ChainruleError
from chainrule.runs import scaffold, schema, template
from chainrule.runs import values as toml
from chainrule.runs.classes import Family
from chainrule.runs.data_section import section_of
from chainrule.runs.file import RunFile, parse
from chainrule.runs.layers import WEIGHTS_AT_MOST, weights_of
from chainrule.runs.section import Section, example
from chainrule.runs.values import key


def check(text: str) -> RunFile | None:
    """A file that says ``text`` is right, or its error answers the four questions."""
    try:
        run = parse(text, name="fuzz.toml")
    except ChainruleError as error:
        said = str(error)
        assert "fuzz.toml" in said
        assert "expected: " in said
        assert "got: " in said
        assert "fix: " in said
        assert len(said) < 20_000
        return None
    json.dumps(run.settings.to_table(), allow_nan=False)
    layers = run.settings.model.layers
    assert len(layers) >= 1
    weights = sum(weights_of(layer.sizes()) for layer in layers)
    assert weights <= WEIGHTS_AT_MOST
    return run


# -- valid files -----------------------------------------------------------------------


def valid() -> list[str]:
    """Starting files of every kind, and one with everything in it."""
    made = [scaffold.start(name, None, Path())[0] for name in ("moons", "mnist", "xor")]
    table = {
        "source": "房屋.csv",
        "target": "price",
        "features": ["area", "城市"],
        "dtype": {"城市": "category"},
        "missing": "drop",
        "task": "regression",
    }
    layers: list[Any] = [
        {"class": "Linear", "out_features": 8, "init": "xavier_uniform"},
        "BatchNorm1d",
        {"class": "LeakyReLU", "negative_slope": 0.1},
        {"class": "Dropout", "p": 0.2},
        "Linear",
    ]
    idx = {"source": ["a-images", "b-labels"], "classes": 10}
    folder = {"source": "pets", "size": [8, 8], "mode": "L", "test": "more-pets"}
    model = {"layers": layers}
    made += [{"data": keys, "model": model} for keys in (table, idx, folder)]
    texts = {"source": "t.csv", "format": "text", "text": "評語", "target": "y"}
    made.append({"data": texts, "model": {"layers": scaffold.READING}})
    texts = [template.text("fuzz.toml", sections) for sections in made]
    return [*texts, *(uncommented(text) for text in texts)]


def uncommented(text: str) -> str:
    """A starting file with its keys taken out of their comments."""
    return re.sub(r"^# (\w+ = |\[\[)", r"\1", text, flags=re.MULTILINE)


VALID = valid()
FAMILIES = list(schema.FAMILIES.values())
WORDS = [
    *schema.SECTIONS,
    *(k for section in schema.SECTIONS.values() for k in section.known()),
    *(k for section in schema.KINDS.values() for k in section.known()),
    *(name for family in FAMILIES for name in family.classes),
    *(k for name in schema.LAYERS.classes for k in schema.LAYERS.options(name)),
]


@pytest.mark.parametrize("text", VALID[: len(VALID) // 2], ids=len)
def test_starting_files_are_right(text: str) -> None:
    assert check(text) is not None


# -- TOML of any structure -------------------------------------------------------------

scalars = st.one_of(
    st.booleans(),
    st.integers(),
    st.integers(-(10**30), 10**30),
    st.floats(),
    st.sampled_from(WORDS),
    st.text(max_size=12),
)


def around(inner: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    """What is inside, or a list or a table of it."""
    names = st.sampled_from(WORDS) | st.text(max_size=6)
    tables = st.dictionaries(names, inner, max_size=3)
    return st.one_of(inner, st.lists(inner, max_size=4), tables)


anything = around(around(around(scalars)))


def fitting(section: type[Section], name: str) -> st.SearchStrategy[Any]:
    """Values that a key takes, or nearly always takes."""
    field = section.known()[name]
    kind: Any = field.annotation
    for limit in field.metadata:
        kind = Annotated[kind, limit]
    texts = st.sampled_from(["validation_loss", "min", "orthogonal", "價"])
    small = st.from_type(kind).filter(lambda v: v is not None and _few(v))
    return small | texts if "str" in str(kind) else small


def _few(value: Any) -> bool:
    return not isinstance(value, int) or abs(value) < 300


@st.composite
def options(draw: st.DrawFn, family: Family) -> dict[str, Any]:
    """A class of a family with some of its options; few values are of another kind."""
    name = draw(st.sampled_from(sorted(family.classes)))
    made: dict[str, Any] = {"class": name}
    section = family.model(name)
    for option in family.options(name):
        chosen = draw(st.integers(0, 29))
        if chosen == 0:
            made[option] = draw(anything | st.integers(0, 10**13))
        elif chosen < 6 or section.known()[option].is_required():
            made[option] = draw(fitting(section, option))
    if draw(st.integers(0, 39)) == 0:
        made[draw(st.sampled_from(WORDS))] = draw(anything)
    return made


layer = st.sampled_from(sorted(schema.LAYERS.classes)) | options(schema.LAYERS)


@st.composite
def documents(draw: st.DrawFn) -> dict[str, Any]:
    """Sections with the right names and keys, and a few values that are wrong."""
    made: dict[str, Any] = {}
    drawn = [*schema.BUNDLED, *schema.DRAWN, "a.csv", "b.npz", "pets"]
    source = draw(st.sampled_from(drawn))
    for name, section in schema.SECTIONS.items():
        if name not in ("data", "model") and draw(st.booleans()):
            continue
        keys: dict[str, Any] = {}
        if name == "data":
            section = section_of(source, None) or section
        for item, field in section.known().items():
            chosen = draw(st.integers(0, 59))
            if item in ("class", "layers", "groups"):
                keys |= {} if chosen else {item: draw(anything)}
            elif chosen == 0:
                keys[item] = draw(anything)
            elif field.is_required() or chosen < 12:
                keys[item] = draw(fitting(section, item) | st.just(example(field)))
        if name in schema.FAMILIES and name != "model":
            keys |= draw(options(schema.FAMILIES[name]))
        if name == "model" and draw(st.integers(0, 29)):
            keys["layers"] = draw(st.lists(layer, min_size=1, max_size=4))
        if name == "data" and draw(st.integers(0, 29)):
            keys |= {"source": source} | ({"target": "y"} if source == "a.csv" else {})
        made[name] = [keys] if name == "callbacks" else keys
    if draw(st.integers(0, 39)) == 0:
        made[draw(st.sampled_from(WORDS))] = draw(anything)
    return made


def written(document: dict[str, Any]) -> str:
    """A document as a file."""
    lines = []
    loose = {k: v for k, v in document.items() if not isinstance(v, dict)}
    for name, value in loose.items():
        if not (isinstance(value, list) and value and isinstance(value[0], dict)):
            lines.append(f"{key(name)} = {toml.to_toml(value)}")
    for name, value in document.items():
        tables = value if isinstance(value, list) else [value]
        if not tables or not all(isinstance(t, dict) for t in tables):
            continue
        for table in tables:
            head = f"[[{key(name)}]]" if isinstance(value, list) else f"[{key(name)}]"
            lines += [
                head,
                *(f"{key(k)} = {toml.to_toml(v)}" for k, v in table.items()),
            ]
    return "\n".join(lines)


@pytest.mark.parametrize("examples", [10, pytest.param(400, marks=pytest.mark.slow)])
def test_fuzz_structures(examples: int) -> None:
    @settings(
        max_examples=examples,
        deadline=None,
        derandomize=True,
        database=None,
        suppress_health_check=list(HealthCheck),
    )
    @given(documents())
    def run(document: dict[str, Any]) -> None:
        check(written(document))

    run()


# -- what would take all memory, or all day --------------------------------------------


#: Texts of which a part is repeated n times.
GROWING: dict[str, Callable[[int], str]] = {
    "open lists": lambda n: "a = " + "[" * n,
    "open tables": lambda n: "a = " + "{b = " * (n // 16),
    "dotted key": lambda n: "a." * (n // 4) + "b = 1",
    "digits": lambda n: "a = " + "9" * (n // 8),
    "comment": lambda n: "# " + "x" * (4 * n),
    "list": lambda n: "a = [" + "1," * n + "]",
    "points": lambda n: "." * (2 * n),
    "points and spaces": lambda n: "a . " * (n // 2),
    "keys": lambda n: "[training]\n" + "\n".join(f"key{i} = 1" for i in range(n // 16)),
    "wrong layers": lambda n: "[model]\nlayers = [" + '"x",' * (n // 2) + "]",
    "layers": lambda n: "[model]\nlayers = [" + '"Relu",' * (n // 100) + "]",
    "callbacks": lambda n: "[[callbacks]]\n" * (n // 16),
    "groups": lambda n: (
        "[optimizer]\ngroups = {"
        + ", ".join(f"k{i} = {{q = 1}}" for i in range(n // 32))
        + "}"
    ),
}


def seconds_to_check(text: str) -> float:
    """Return the processor's seconds for a text that is refused, without GC.

    How often garbage is looked for, and how long, depends on what other tests left.
    """
    gc.collect()
    gc.disable()
    try:
        started = time.process_time()
        assert check(text) is None
        return time.process_time() - started
    finally:
        gc.enable()


@pytest.mark.parametrize(
    "length", [10_000, pytest.param(25_000, marks=pytest.mark.slow)]
)
@pytest.mark.parametrize("text", GROWING.values(), ids=GROWING)
def test_texts_that_are_made_to_hurt(text: Callable[[int], str], length: int) -> None:
    """Four times the text takes about four times as long; a square would be 16."""
    seconds_to_check(text(1_000))  # modules are imported
    short = seconds_to_check(text(length))
    assert seconds_to_check(text(4 * length)) < 10 * max(short, 0.02)


@pytest.mark.parametrize(
    "layer",
    [
        '{ class = "Linear", out_features = 1_000_000_000_000 }',
        '{ class = "Linear", in_features = 100_000, out_features = 100_000 }',
        '{ class = "Embedding", num_embeddings = 2_000_000_000, embedding_dim = 64 }',
        '{ class = "LayerNorm", normalized_shape = [100_000, 100_000] }',
        '{ class = "BatchNorm1d", num_features = 2_000_000_000 }',
    ],
)
def test_a_layer_that_no_memory_holds(layer: str) -> None:
    text = f'data.source = "moons"\nmodel.layers = [{layer}, "Linear"]'
    with pytest.raises(ChainruleError) as caught:
        parse(text)
    said = str(caught.value)
    assert "would be too large" in said or "a whole number" in said
