"""The page of symptoms is made of the registry, and answers what people ask."""

from __future__ import annotations

import importlib.util
import re
from pathlib import Path
from types import ModuleType

import pytest

from chainrule.doctor import handbook, registered
from chainrule.text import Message

TOOL = Path(__file__).resolve().parents[2] / "tools" / "symptoms.py"


def tool() -> ModuleType:
    spec = importlib.util.spec_from_file_location("symptoms_tool", TOOL)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_the_page_is_that_of_the_registry() -> None:
    written = tool()
    page = written.PAGE.read_text("utf-8")
    assert page == written.page(), "run tools/symptoms.py"


def test_each_symptom_stands_once_and_each_link_leads_to_one() -> None:
    page = handbook.markdown()
    headings = re.findall(r"(?m)^### (.*)$", page)
    assert sorted(headings) == sorted(s.code for s in registered())
    assert set(re.findall(r"\]\(#([^)]*)\)", page)) <= {*headings}
    for symptom in registered():
        for text in (symptom.looks, symptom.why, symptom.fix, symptom.reference):
            assert str(text) in page


@pytest.mark.parametrize("question", handbook.QUESTIONS, ids=lambda q: str(q.asked))
def test_a_question_names_symptoms(question: handbook.Question) -> None:
    assert isinstance(question.asked, Message)
    assert isinstance(question.told, Message)
    known = {s.code for s in registered()}
    assert set(question.codes) <= known
    assert len(set(question.codes)) == len(question.codes) > 1


def test_what_people_search_for_is_a_heading() -> None:
    headings = re.findall(r"(?m)^## (.*)$", handbook.markdown())
    assert "Why is my loss NaN?" in headings
    assert "Why is my accuracy stuck at 10 %?" in headings
    assert "Why does the validation loss rise?" in headings
