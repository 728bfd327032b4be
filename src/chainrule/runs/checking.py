"""A document against the schema: checked settings, and everything that is wrong."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from typing import Any

from chainrule.errors import nearest
from chainrule.runs import consistency, schema
from chainrule.runs.classes import SCALING, Family, layers, losses
from chainrule.runs.problems import Problem, Where
from chainrule.runs.schema import Section
from chainrule.runs.values import Kind, WrongValueError, key, show

#: Sizes that follow from the data or from the layer before, and the file that a
#: callback writes, which has a usual name.
INFERRED = ("in_features", "out_features", "num_features", "normalized_shape", "path")


def check(document: Mapping[str, Any]) -> tuple[dict[str, Any], list[Problem]]:
    """The settings of every section, and all problems of the document.

    Settings hold a value for each key, its default where the file is silent. A section
    with a class has ``class``, None where none is named, and ``options``.
    """
    checker = _Checker()
    settings: dict[str, Any] = {}
    for section in schema.SECTIONS:
        settings[section.name] = checker.section(section, document)
    for name, given in document.items():
        if schema.section(name) is None:
            checker.unknown_section(name, given)
    if not checker.problems:
        checker.problems += consistency.problems(settings)
    return settings, checker.problems


class _Checker:
    """Looks at values, and notes what is wrong with them."""

    def __init__(self) -> None:
        self.problems: list[Problem] = []

    def note(self, where: Where, what: str, **answers: str | None) -> None:
        """Remember a problem."""
        self.problems.append(Problem(where, what, **answers))

    # -- sections ----------------------------------------------------------------

    def section(self, section: Section, document: Mapping[str, Any]) -> Any:
        """A section's settings; of a section that comes many times, a list."""
        given = document.get(section.name, [] if section.many else {})
        if not section.many:
            return self.table(section, given, (section.name,))
        if not isinstance(given, list):
            given = [given] if isinstance(given, dict) else given
            self.not_a_table(section, given)
            return []
        return [self.table(section, t, (section.name, i)) for i, t in enumerate(given)]

    def table(self, section: Section, given: Any, where: Where) -> dict[str, Any]:
        """The keys of one table, and the options of the class that it names."""
        if not isinstance(given, dict):
            self.not_a_table(section, given)
            return {}
        made: dict[str, Any] = {}
        for item in section.keys:
            if item.name in given:
                place = (*where, item.name)
                made[item.name] = self.value(item.kind, given[item.name], place)
            else:  # what belongs to some formats alone has the reader's default
                default = None if item.formats else item.default
                made[item.name] = schema.value(default or "")
                if item.required:
                    self.missing(section.name, item.name, item.example, where)
        rest = {name: v for name, v in given.items() if section.key(name) is None}
        own = [item.name for item in section.keys]
        if section.name == "model" and made["layers"] is not None:
            made["layers"] = self.layers(made["layers"])
        if section.family is None:
            self.no_others(f"[{section.name}]", rest, own, where)
        else:
            made |= self.chosen(section, made, rest, own, where)
        return made

    def missing(self, section: str, name: str, example: str, where: Where) -> None:
        """Note a key that must be there."""
        self.note(
            where,
            f"the key {name!r} is missing.",
            expected=f"{name} = {example}",
            got="nothing",
            fix=f"add {name} = {example} below [{section}]",
        )

    def not_a_table(self, section: Section, given: Any) -> None:
        """Note a section that is written as something else."""
        head = section.header
        self.note(
            (section.name,),
            "it is not a section.",
            expected=f"{head}, with keys on the lines below it",
            got=f"{section.name} = {show(given)}",
            fix=f"write {head} on a line of its own",
        )

    def unknown_section(self, name: str, given: Any) -> None:
        """Note a section that does not exist, or a key outside of all sections."""
        names = [section.name for section in schema.SECTIONS]
        home = next((s.name for s in schema.SECTIONS if s.key(name)), None)
        near = schema.SYNONYMS.get(name.lower())
        near = near if near in names else nearest(name, names)
        is_section = isinstance(given, dict | list)
        if home and not is_section:
            fix = f"move it below [{home}]"
        elif near:
            fix = f"did you mean [{near}]?"
        else:
            fix = "leave it away"
        self.note(
            (name,),
            "there is no such section." if is_section else "it is in no section.",
            expected=", ".join(s.header for s in schema.SECTIONS),
            got=f"[{key(name[:60])}]" if is_section else f"{name:.60} = {show(given)}",
            fix=fix,
        )

    # -- classes and their options -----------------------------------------------

    def chosen(
        self,
        section: Section,
        made: Mapping[str, Any],
        rest: Mapping[str, Any],
        own: Collection[str],
        where: Where,
    ) -> dict[str, Any]:
        """The class that a section names, and its options."""
        assert section.family is not None
        family = section.family()
        name = made.get("class") or section.otherwise or None
        if name is None:
            if rest and not section.key("class").required:  # type: ignore[union-attr]
                self.missing(
                    section.name, "class", show(next(iter(family.classes))), where
                )
            return {"class": None, "options": {}}
        if not self.known_class(family, name, (*where, "class")):
            return {"class": None, "options": {}}
        options = self.options(family, name, rest, where, own)
        return {"class": name, "options": options}

    def layers(self, given: list[Any]) -> list[dict[str, Any]]:
        """Each layer's class and options."""
        made = []
        for i, item in enumerate(given):
            where = ("model", "layers", i)
            table = {"class": item} if isinstance(item, str) else item
            name = table.get("class")
            rest = {option: v for option, v in table.items() if option != "class"}
            if not isinstance(name, str):
                self.note(
                    where,
                    "it is not said what layer this is.",
                    expected='"ReLU", or { class = "Linear", out_features = 64 }',
                    got=show(item),
                    fix='add class = "…"',
                )
            elif self.known_class(layers(), name, where):
                options = self.options(layers(), name, rest, where, ["class"])
                made.append({"class": name, "options": options})
        return made

    def known_class(self, family: Family, name: str, where: Where) -> bool:
        """Whether there is such a class; where not, that is noted."""
        if name in family.classes:
            return True
        near = schema.SYNONYMS.get(name.lower())
        near = near if near in family.classes else nearest(name, family.classes)
        fix = f'did you mean "{near}"?' if near else f"choose another {family.what}"
        stem = name.partition("(")[0].strip()
        if stem != name and stem in family.classes:
            fix = f"write its options as keys: {{ class = {show(stem)}, … }}"
        elif family is layers() and name in SCALING:
            fix = "leave it away: standardize = true in [model] does this"
            if name.endswith("Target"):
                fix = 'target_transform = "log" or "quantile" in [data] does this'
        elif name == "LinearWarmup":
            fix = "a warm-up is a key of [schedule]: warmup = 100"
        elif family is layers() and name in losses().classes:
            fix = f"a loss has a section of its own: [loss] with class = {show(name)}"
        self.note(
            where,
            f"there is no {family.what} {name[:60]!r}.",
            expected=_some(family.classes),
            got=show(name),
            fix=fix,
        )
        return False

    def options(
        self,
        family: Family,
        name: str,
        given: Mapping[str, Any],
        where: Where,
        own: Collection[str],
    ) -> dict[str, Any]:
        """The options of a class, checked by the signature of its constructor."""
        known = family.options(name)
        self.no_others(
            name,
            {k: v for k, v in given.items() if k not in known},
            [*own, *known],
            where,
        )
        for option in known.values():
            needed = option.required and option.name not in INFERRED
            if needed and option.name not in given:
                self.note(
                    where,
                    f"{name} needs the key {option.name!r}.",
                    expected=f"{option.name} = {option.kind.expected}",
                    got="nothing",
                    fix=f"add {option.name} = … to it",
                )
        return {
            k: self.value(known[k].kind, v, (*where, k))
            for k, v in given.items()
            if k in known
        }

    # -- keys and values ---------------------------------------------------------

    def value(self, kind: Kind, given: Any, where: Where) -> Any:
        """A value of that kind; None where it is another, which is noted."""
        try:
            return kind.take(given)
        except WrongValueError as wrong:
            self.note(
                where,
                "it does not take this value.",
                expected=wrong.expected,
                got=show(given),
                fix=wrong.fix or _fix(str(where[-1]), given, wrong.expected),
            )
            return None

    def no_others(
        self,
        whose: str,
        others: Mapping[str, Any],
        known: Collection[str],
        where: Where,
    ) -> None:
        """Note the keys that do not exist, each with the nearest that does."""
        for name, given in others.items():
            self.note(
                (*where, name),
                f"{whose} has no key {name[:60]!r}.",
                expected=", ".join(known),
                got=f"{key(name[:60])} = {show(given)}",
                fix=_instead(name, known, str(where[0])),
            )


def _instead(name: str, known: Collection[str], section: str) -> str:
    """What to write instead of a key that does not exist."""
    synonym = schema.SYNONYMS.get(name.lower())
    near = synonym if synonym in known else nearest(name, known)
    homes = [s.name for s in schema.SECTIONS if s.name != section and s.key(name)]
    if name in ("lr", "max_lr") and section != "optimizer":
        homes = ["optimizer"]
    if near is not None and near.lower() == name.lower():
        return f"did you mean {near!r}?"
    if homes and name != "class":
        return f"move it below [{homes[0]}]"
    return f"did you mean {near!r}?" if near is not None else "leave it away"


def _fix(name: str, given: Any, expected: str) -> str:
    """What to write instead of a value that is not taken."""
    if isinstance(given, str) and not expected.startswith(
        ("text", "a path", "the name")
    ):
        bare = given.strip().lower()
        if bare in ("true", "false") or bare.replace(".", "").isdigit():
            return f"write it without quotes: {name} = {bare}"
    return f"write {name} = …, with {expected}"


def _some(names: Iterable[str]) -> str:
    """Names for a message, the first of many."""
    known = list(names)
    rest = len(known) - 20
    return ", ".join(known[:20]) + (f" and {rest} more" if rest > 0 else "")
