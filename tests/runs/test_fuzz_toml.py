"""Whatever a run's file says: checked settings or a clear error, and nothing else.

With many more examples: ``pytest -m slow tests/runs/test_fuzz_toml.py``.
"""

from __future__ import annotations

import contextlib
import json
import random
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
from chainrule.runs.classes import Family
from chainrule.runs.data_section import section_of
from chainrule.runs.file import RunFile, load, parse
from chainrule.runs.section import Section, example
from chainrule.runs.values import key, quote

#: How many examples: a few, and with ``-m slow`` 100,000 in the four tests together.
AMOUNTS = pytest.mark.parametrize(
    "examples", [150, pytest.param(25_000, marks=pytest.mark.slow)]
)


def fuzz(
    examples: int, run: Callable[..., None], *strategies: st.SearchStrategy[Any]
) -> None:
    """Call ``run`` with so many examples of the strategies."""
    slow = examples > 1000
    settings(
        max_examples=examples,
        deadline=None,
        derandomize=not slow,
        database=None,
        suppress_health_check=list(HealthCheck),
    )(given(*strategies)(run))()


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
    json.dumps(run.settings.plain(), allow_nan=False)
    layers = run.settings.model.layers
    assert len(layers) >= 1
    weights = sum(schema.weights_of(layer.sizes()) for layer in layers)
    assert weights <= schema.WEIGHTS_AT_MOST
    return run


# -- valid files, and what a slip of the hand makes of them ----------------------------


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
    for keys in (table, idx, folder):
        made.append({"data": keys, "model": {"layers": layers}})
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
TOKENS = [
    *("[", "]", "{", "}", "[[", "]]", "=", ",", ".", "#", '"', "'", '"""', "\n", "\\"),
    *(
        "true",
        "nan",
        "-inf",
        "0",
        "-1",
        "1e999",
        "10" * 20,
        "1_0",
        "0x1f",
        "1979-05-27",
    ),
    *("\u0000", "\ufeff", "é", "層", "\U0001f600", "\r", "\t", "07:32:00", "[]", "{}"),
]


def slipped(text: str, draw: random.Random) -> str:
    """A text after one to four slips: lost, doubled, moved or foreign pieces."""
    for _ in range(draw.randint(1, 4)):
        a, b = sorted(draw.randint(0, len(text)) for _ in range(2))
        b = min(b, a + draw.choice((1, 5, 40, 400)))
        lines = text.splitlines(keepends=True) or [""]
        i, j = (draw.randrange(len(lines)) for _ in range(2))
        kind = draw.randrange(7)
        if kind == 0:
            text = text[:a] + text[b:]
        elif kind == 1:
            text = text[:b] + text[a:b] + text[b:]
        elif kind == 2:
            text = text[:a] + draw.choice(TOKENS) + text[a:]
        elif kind == 3:
            text = text[:a] + draw.choice(WORDS) + text[b:]
        elif kind == 4:
            lines[i], lines[j] = lines[j], lines[i]
            text = "".join(lines)
        elif kind == 5:
            left, _, _ = lines[i].partition("=")
            value = draw.choice([*TOKENS, quote(draw.choice(WORDS))])
            lines[i] = f"{left}= {value}\n"
            text = "".join(lines)
        else:
            text = text.replace(draw.choice(WORDS), draw.choice(WORDS), 1)
    return text


@pytest.mark.parametrize("number", range(len(VALID) // 2))
def test_starting_files_are_right(number: int) -> None:
    assert check(VALID[number]) is not None


@AMOUNTS
def test_fuzz_slips(examples: int) -> None:
    def run(draw: random.Random, text: str) -> None:
        check(slipped(text, draw))

    fuzz(examples, run, st.randoms(use_true_random=False), st.sampled_from(VALID))


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


values = around(around(around(scalars)))


def toml(value: Any) -> str:
    """A value as TOML."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, str):
        return quote(value)
    if isinstance(value, list):
        return f"[{', '.join(map(toml, value))}]"
    if isinstance(value, dict):
        return "{" + ", ".join(f"{key(k)} = {toml(v)}" for k, v in value.items()) + "}"
    return repr(value)


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
            made[option] = draw(values | st.integers(0, 10**13))
        elif chosen < 6 or section.known()[option].is_required():
            made[option] = draw(fitting(section, option))
    if draw(st.integers(0, 39)) == 0:
        made[draw(st.sampled_from(WORDS))] = draw(values)
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
                keys |= {} if chosen else {item: draw(values)}
            elif chosen == 0:
                keys[item] = draw(values)
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
        made[draw(st.sampled_from(WORDS))] = draw(values)
    return made


def written(document: dict[str, Any]) -> str:
    """A document as a file."""
    lines = []
    loose = {k: v for k, v in document.items() if not isinstance(v, dict)}
    for name, value in loose.items():
        if not (isinstance(value, list) and value and isinstance(value[0], dict)):
            lines.append(f"{key(name)} = {toml(value)}")
    for name, value in document.items():
        tables = value if isinstance(value, list) else [value]
        if not tables or not all(isinstance(t, dict) for t in tables):
            continue
        for table in tables:
            head = f"[[{key(name)}]]" if isinstance(value, list) else f"[{key(name)}]"
            lines += [head, *(f"{key(k)} = {toml(v)}" for k, v in table.items())]
    return "\n".join(lines)


@AMOUNTS
def test_fuzz_structures(examples: int) -> None:
    def run(document: dict[str, Any]) -> None:
        check(written(document))

    fuzz(examples, run, documents())


# -- anything at all -------------------------------------------------------------------


@AMOUNTS
def test_fuzz_tokens(examples: int) -> None:
    def run(tokens: list[str]) -> None:
        check("".join(tokens))

    pieces = st.sampled_from([*TOKENS, *WORDS, " ", "\n", " = "])
    fuzz(examples, run, st.lists(pieces, max_size=60))


@AMOUNTS
def test_fuzz_bytes(examples: int, tmp_path: Path) -> None:
    file = tmp_path / "fuzz.toml"

    def run(content: bytes, text: str, at: int) -> None:
        whole = text.encode()
        for bad in (content, whole[:at] + content[:3] + whole[at:]):
            file.write_bytes(bad)
            with contextlib.suppress(ChainruleError):
                load(file)

    text = st.sampled_from(VALID)
    fuzz(examples, run, st.binary(max_size=300), text, st.integers(0, 5000))


# -- what would take all memory, or all day --------------------------------------------


@pytest.mark.parametrize(
    "text",
    [
        "[" * 100_000,
        "a = " + "[" * 100_000,
        "a = " + "{b = " * 5_000,
        "a." * 20_000 + "b = 1",
        f"[{'a.' * 20_000}b]",
        "a = " + "9" * 10_000,
        "a = " + "9" * 5_000 + ".5",
        "x = 1\n" * 40_000,
        "# " + "x" * 300_000,
        "a = [" + "1," * 100_000 + "]",
        "9" * 200_000,
        "a = " + "'" * 200_000,
        "a = " + '"' * 200_001,
        "." * 200_000,
        "a . " * 50_000,
        "a = [" + "[]," * 80_000,
        "#" * 200_000 + "\n" + "x" * 50_000,
        "\n".join(f"key{i} = 1" for i in range(15_000)),
        "[training]\n" + "\n".join(f"key{i} = 1" for i in range(15_000)),
        "[model]\nlayers = [" + '"x",' * 50_000 + "]",
        "[model]\nlayers = [" + '"Relu",' * 900 + "]",
        "[[callbacks]]\n" * 15_000,
        "[optimizer]\ngroups = {"
        + ", ".join(f"k{i} = {{q = 1}}" for i in range(9000))
        + "}",
    ],
    ids=lambda text: f"{text[:12]!r}×{len(text)}",
)
def test_texts_that_are_made_to_hurt(text: str) -> None:
    started = time.process_time()
    assert check(text) is None
    assert time.process_time() - started < 5


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
