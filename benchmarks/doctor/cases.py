"""The cases: programs with a known remedy, in two halves, and in parts of their own."""

import hashlib
import itertools
import math
import random
import tomllib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import rows
import rows_fifth  # noqa: F401  (names its tables)
import rows_sixth  # noqa: F401  (names its tables)
import tables_fourth  # noqa: F401  (names its tables)
from networks import Spec
from programs import ONE_OUTPUT

DOCUMENT: dict[str, Any] = tomllib.loads(
    Path(__file__).with_name("cases.toml").read_text(encoding="utf-8")
)
#: Other programs, tables and faults, each part drawn for one version of the doctor.
PARTS: dict[str, dict[str, Any]] = {
    path.stem: tomllib.loads(path.read_text(encoding="utf-8"))
    for path in sorted(Path(__file__).with_name("parts").glob("*.toml"))
}
#: What ``--half`` takes.
HALVES = ("tuning", "held-out", *PARTS)
DEFAULT: Spec = DOCUMENT["default"]


@dataclass(frozen=True)
class Case:
    """A program to be diagnosed.

    Attributes:
        name: says what it is; decides its half.
        kind: ``grid``, ``mutation`` or ``variation``.
        group: the family or the program that it comes from.
        spec: the program.
        remedy: the program that is known to learn.
        planted: the keys in which a mutation differs from its remedy.
        part: its part, which a file of ``parts`` describes; none of ``cases.toml``.
    """

    name: str
    kind: str
    group: str
    spec: Spec
    remedy: Spec
    planted: tuple[str, ...] = ()
    part: str = ""

    @property
    def half(self) -> str:
        """Its part, or ``tuning`` or ``held-out`` by a hash of the name."""
        if self.part:
            return self.part
        first = hashlib.sha256(self.name.encode()).digest()[0]
        return "held-out" if first % 2 else "tuning"

    @property
    def components(self) -> set[str]:
        """What is wrong by construction: the components of the planted keys."""
        return {c for key in self.planted for c in DOCUMENT["components"][key]}


def words(values: Spec) -> str:
    """Return changed keys as part of a name."""
    return ", ".join(f"{k}={v}" for k, v in sorted(values.items()))


def cases() -> list[Case]:
    """Return all cases, each program once, in the order of their names."""
    found: dict[str, Case] = {}
    own = [one for part in PARTS for one in (_grids(part), _drawn(part))]
    for case in itertools.chain(_grids(""), _changed(), *own):
        found.setdefault(str(sorted(case.spec.items())), case)
    return sorted(found.values(), key=lambda c: c.name)


def _grids(part: str) -> Iterator[Case]:
    """Yield what is drawn of the families of ``cases.toml``, or of a part."""
    known = PARTS[part] if part else DOCUMENT
    for family, table in known.get("families", {}).items():
        remedy = DEFAULT | table["remedy"]
        own = f"{part} {family}" if part else family
        seed = f"{known['seed']} {family}" if part else family
        draw, seen = random.Random(seed), set[str]()
        while len(seen) < table["draw"]:
            values = {k: draw.choice(v) for k, v in table["grid"].items()}
            name = f"{own}: {words(values)}"
            if name not in seen:
                seen.add(name)
                yield Case(name, "grid", family, remedy | values, remedy, (), part)


def settled(change: Spec, draw: random.Random) -> Spec:
    """Return a change whose severities, given by their ends, are drawn.

    ``{ from = 1e-6, to = 10.0, log = true }`` is drawn evenly on a logarithmic scale;
    whole numbers stay whole.
    """
    found = dict(change)
    for key, value in change.items():
        if not isinstance(value, dict):
            continue
        ends = value["from"], value["to"]
        if value.get("log"):
            drawn = math.exp(draw.uniform(*map(math.log, ends)))
        else:
            drawn = draw.uniform(*ends)
        found[key] = round(drawn) if isinstance(ends[0], int) else float(f"{drawn:.2g}")
    return found


def _changed() -> Iterator[Case]:
    for program, table in DOCUMENT["programs"].items():
        base = DEFAULT | table
        for kind in ("operators", "variations"):
            for operator in DOCUMENT[kind]:
                if not _applies(operator, base):
                    continue
                for values in operator["values"]:
                    keys = tuple(k for k, v in values.items() if base[k] != v)
                    if values and not keys:
                        continue
                    name = f"{program}, {operator['name']}: {words(values)}"
                    one = kind.removesuffix("s").replace("operator", "mutation")
                    yield Case(name, one, program, base | values, base, keys)


#: Ways to draw: of what, and how many at once.
WAYS = {
    "one": ("operators", 1),
    "two": ("operators", 2),
    "variations": ("variations", 1),
    "pairs": ("variations", 2),
}


def _drawn(part: str) -> Iterator[Case]:
    """Yield cases of one fault, of two, and of variations, each drawn once."""
    table = PARTS[part]
    draw, seen = random.Random(table["seed"]), set[str]()
    for how, count in table["draw"].items():
        what, at_once = WAYS[how]
        found = 0
        while found < count:
            program, given = draw.choice([*table["programs"].items()])
            base, values = DEFAULT | given, Spec()
            known = [operator for operator in table[what] if _applies(operator, base)]
            known = [o for o in known for _ in range(o.get("weight", 1))]
            some = draw.sample(known, at_once)
            apart = table.get("apart", False)
            if some[0] is some[-1] and at_once > 1 and not apart:
                continue
            picked = [settled(draw.choice(o["values"]), draw) for o in some]
            for change in picked:
                values |= change
            keys = tuple(k for k, v in values.items() if base[k] != v)
            name = f"{part} {program}, {how}: {words(values)}"
            one_kind = some[0] is some[-1] and at_once > 1
            if apart and (one_kind or len(values) < sum(map(len, picked))):
                continue
            if name in seen or (values and not keys):
                continue
            seen.add(name)
            found += 1
            kind = what.removesuffix("s").replace("operator", "mutation")
            yield Case(name, kind, program, base | values, base, keys, part)


def _applies(operator: dict[str, Any], base: Spec) -> bool:
    task = rows.task(base["rows"])
    return all(
        value in operator.get(key, [value])
        for key, value in (
            ("tasks", "binary" if base["loss"] in ONE_OUTPUT else task),
            ("nets", base["net"]),
            ("losses", base["loss"]),
        )
    )


def applied(spec: Spec, change: Spec) -> Spec:
    """Return a program with a single change; keys that end in _times multiply."""
    made = dict(spec)
    for key, value in change.items():
        if key.endswith("_times"):
            key = key.removesuffix("_times")
            value = type(spec[key])(spec[key] * value)
        made[key] = value
    return made


def single_changes(case: Case, component: str) -> list[Spec]:
    """Return the changes of one component that may cure a case."""
    found: list[Spec] = []
    for key, components in DOCUMENT["components"].items():
        if component in components and case.spec[key] != case.remedy[key]:
            found.append({key: case.remedy[key]})
    for change in DOCUMENT["changes"][component]:
        if applied(case.spec, change) != case.spec and change not in found:
            found.append(change)
    return found
