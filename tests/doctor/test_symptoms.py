"""Each symptom's examples: the sick one is found, nothing is in the healthy one."""

from __future__ import annotations

import ast
import inspect
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

import chainrule as cr
from chainrule.book import sections
from chainrule.doctor import Diagnosis, Symptom, labels, registered, space
from chainrule.doctor.evidence import RISK, SICK
from chainrule.doctor.finding import COMPONENTS, SEVERITIES
from chainrule.doctor.setup import run
from chainrule.errors import NonFiniteError
from chainrule.text import Message
from tests.doctor import printed

SYMPTOMS = registered()
BY_CODE = {symptom.code: symptom for symptom in SYMPTOMS}
each = pytest.mark.parametrize("symptom", SYMPTOMS, ids=lambda s: s.code)


@pytest.mark.one_in(2)
@each
def test_the_sick_example_is_found(symptom: Symptom) -> None:
    assert symptom.sick_example is not None
    trainer, data, given = symptom.sick_example()
    diagnosis = cr.diagnose(trainer, data, **given)
    assert symptom.code in [f.code for f in diagnosis.findings[:2]], str(diagnosis)
    assert diagnosis.to_html()
    for found in diagnosis.findings:
        assert found.change is None or found.change.slots, found.change
        assert found.evidence.keys() <= labels.EVIDENCE.keys()
        assert found.curves.keys() <= labels.EVIDENCE.keys()
    assert {*diagnosis.examined, *diagnosis.not_examined} <= labels.PARTS.keys()
    check_what_is_printed(diagnosis)


def check_what_is_printed(diagnosis: Diagnosis) -> None:
    """What findings and usual changes print as code is code, and can be made."""
    case = diagnosis.case
    assert case is not None
    made = [f.change for f in diagnosis.findings if f.change is not None]
    if case.refused is None and case.single:
        made += [*space.space(case, diagnosis.findings), *space.finer(case)]
    for change in (one for several in made for one in several.single):
        assert not printed.unreadable(change)
        printed.run(case.setup, change)
        if change.slots == ("loss",) and case.runs:
            # A loss that the end of the network does not go with would be refused.
            error = run(case.prepared(change, steps=1)).error
            assert error is None or isinstance(error, NonFiniteError), change


@pytest.mark.one_in(4, first=1)
@each
def test_nothing_in_the_healthy_example_is_sick(symptom: Symptom) -> None:
    assert symptom.healthy_example is not None
    trainer, data, given = symptom.healthy_example()
    diagnosis = cr.diagnose(trainer, data, **given)
    assert diagnosis.healthy, str(diagnosis)
    assert symptom.code not in [f.code for f in diagnosis.findings]


@each
def test_what_people_read_is_there(symptom: Symptom) -> None:
    assert symptom.component in COMPONENTS
    assert re.fullmatch(r"[a-z]+(-[a-z]+)*", symptom.code)
    for text in (symptom.looks, symptom.why, symptom.fix, symptom.reference):
        assert len(text) > 8
    for number in re.findall(r"book ([0-9.]+[0-9])", symptom.reference):
        assert number in sections()


def _keys(node: ast.AST) -> Iterator[str]:
    """Yield the words that a rule names numbers by: keys, in dictionaries and alone."""
    for part in ast.walk(node):
        keys: list[ast.expr | None] = []
        if isinstance(part, ast.Dict):
            keys = part.keys
        elif isinstance(part, ast.DictComp):
            keys = [part.key]
        elif isinstance(part, ast.Subscript) and isinstance(part.ctx, ast.Store):
            keys = [part.slice]
        for key in keys:
            if isinstance(key, ast.Constant) and isinstance(key.value, str):
                yield key.value
            elif isinstance(key, ast.JoinedStr):
                texts = [v for v in key.values if isinstance(v, ast.Constant)]
                yield from (str(text.value) for text in texts)


@each
def test_what_a_rule_measures_has_a_label(symptom: Symptom) -> None:
    """Keys are stable and in snake case; what people read of them is translated."""
    source = Path(inspect.getsourcefile(symptom.rule) or "").read_text("utf-8")
    rules = [
        part
        for part in ast.parse(source).body
        if isinstance(part, ast.FunctionDef)
        and "examples.Made" not in ast.unparse(part)
    ]
    assert symptom.rule.__name__ in [rule.name for rule in rules]
    statements = [statement for rule in rules for statement in rule.body]
    for key in (key for statement in statements for key in _keys(statement)):
        assert re.fullmatch(r"_?[a-z0-9]+(_[a-z0-9]+)*_?", key)
        part = key[:1] == "_" or key[-1:] == "_"  # of a key with the name of a score
        assert key in labels.EVIDENCE or (
            part and any(key in known for known in labels.EVIDENCE)
        )


def test_labels_are_messages_and_each_component_has_one() -> None:
    tables = (labels.EVIDENCE, labels.PARTS, labels.VALUES, labels.COMPONENTS)
    for table in (*tables, labels.METRICS, labels.ACROSS):
        assert all(isinstance(text, Message) for text in table.values())
    assert set(labels.COMPONENTS) == set(COMPONENTS)
    assert labels.METRICS.keys() == SICK.keys() == RISK.keys()


def test_a_symptom_is_a_file() -> None:
    folder = Path(cr.__file__).parent / "doctor" / "symptoms"
    files = {p.stem.replace("_", "-") for p in folder.glob("*.py")} - {"--init--"}
    assert files == set(BY_CODE)


def test_explanations_name_symptoms_and_go_one_way() -> None:
    for symptom in SYMPTOMS:
        for code in symptom.explains:
            assert symptom.code not in BY_CODE[code].explains


def test_findings_say_all_that_they_should() -> None:
    trainer, data, given = BY_CODE["learning-rate-too-large"].sick_example()  # type: ignore[misc]
    found = cr.diagnose(trainer, data, **given).findings[0]
    assert (found.code, found.severity) == ("learning-rate-too-large", "sick")
    assert found.severity in SEVERITIES
    assert found.change is not None
    assert found.change.diff.startswith("- lr=100\n+ lr=")
    assert found.comparison is not None
    assert found.comparison.gain > 0.1
    assert found.evidence["accuracy_with_change"] > 0.9
    assert found.confidence == 0.9
