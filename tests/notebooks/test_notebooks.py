"""The lessons of ``examples/notebooks`` run in a kernel, in both languages."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest

pytestmark = pytest.mark.parity
for _name in ("nbclient", "ipykernel", "jupytext", "ipywidgets", "optuna"):
    pytest.importorskip(_name, reason=f"needs {_name}: pip install it")

FOLDER = Path(__file__).resolve().parents[2] / "examples" / "notebooks"
LESSONS = sorted(path.relative_to(FOLDER) for path in FOLDER.rglob("*.py"))
#: Those of the course, which are slides too.
COURSE = ("neuron", "backpropagation", "mnist", "vanishing_gradients", "attention")
#: Those whose trainings are many, and show no progress.
QUIET = ("backpropagation", "vanishing_gradients")
#: What is said in a lesson's outputs: the object of each view.
SHOWN = {
    "neuron": ("0.6682", "<svg", "polyline", "4/4", "True"),
    "backpropagation": ("0.0989", "11", "f′", "math", "<svg"),
    "mnist": ("mnist", "50,890", "polyline", "784", "mistakes"),
    "vanishing_gradients": ("polyline", "True", "1.52588e-05", "[0.5, 1.0]"),
    "attention": ("12.7747", "<svg", "polyline", "[True, True]"),
    "own_table": ("district=centre", "floor", "polyline", "r2"),
    "search": ("spiral", "width", "pruned", "accuracy"),
}


def executed(path: Path, folder: Path) -> Any:
    """A notebook after all of its cells have run in an empty folder."""
    import jupytext
    import nbclient

    notebook = jupytext.read(path)
    options = {"timeout": 300, "kernel_name": "python3"}
    client = nbclient.NotebookClient(
        notebook, resources={"metadata": {"path": str(folder)}}, **options
    )
    return client.execute()


def outputs(notebook: Any) -> list[dict[str, Any]]:
    return [o for cell in notebook.cells for o in cell.get("outputs", ())]


@pytest.mark.slow
@pytest.mark.parametrize("lesson", LESSONS, ids=str)
@pytest.mark.filterwarnings("default")  # of the kernel's client
def test_a_lesson(lesson: Path, tmp_path: Path) -> None:
    made = outputs(executed(FOLDER / lesson, tmp_path))
    assert not [o for o in made if o.output_type in ("stream", "error")]
    data = [o.data for o in made]
    text = "".join(str(one.get("text/html", one["text/plain"])) for one in data)
    for word in SHOWN[lesson.stem]:
        assert word in text, word
    assert len(bars(data)) == (lesson.stem not in QUIET)
    assert all(len(str(one)) < 600_000 for one in data)


def bars(data: list[Any]) -> list[str]:
    """The progress bars, which are HTML at their end: a saved notebook shows them."""
    pages = [one.get("text/html", "") for one in data]
    found = [page for page in pages if "<progress" in page]
    assert all(re.search(r'max="(\d+)" value="\1"', page) for page in found)
    widget = "application/vnd.jupyter.widget-view+json"
    assert not [one for one in data if widget in one]
    return found


SMALL = """
# %%
import chainrule as cr
model, data = cr.nn.Linear(2, 2), cr.data.moons()
options = {"loss": cr.nn.CrossEntropyLoss(), "optimizer": cr.optim.SGD(lr=0.1)}
trainer = cr.Trainer(model, engine="numpy", **options)
history = trainer.fit(data, epochs=3, batch_size=50, validation=data)
# %%
history
# %%
model
"""


@pytest.mark.filterwarnings("default")
def test_a_small_notebook(tmp_path: Path) -> None:
    path = tmp_path / "small.py"
    path.write_text(SMALL)
    bar, *views = outputs(executed(path, tmp_path))
    assert "epoch 3/3" in bars([bar.data])[0]
    assert ["cr-view" in one.data["text/html"] for one in views] == [True] * 2


@pytest.mark.filterwarnings("default")
def test_lines_of_cells_have_the_names_that_a_notebook_gives_them(
    tmp_path: Path,
) -> None:
    """The files that a kernel writes for its cells have numbers that nobody knows."""
    path = tmp_path / "kinks.py"
    cells = (
        "import chainrule as cr",
        "1",
        "cr.check_gradients(lambda x: x.relu(), [0.0])",
    )
    path.write_text("".join(f"# %%\n{cell}\n" for cell in cells))
    *__, report = outputs(executed(path, tmp_path))
    assert "(In[3]:1)" in report.data["text/html"]


def code(path: Path) -> list[str]:
    """The cells of a lesson without its language."""
    import jupytext

    cells = jupytext.read(path).cells
    return [
        re.sub(r'set_language\("[\w-]+"\)', "", cell.source)
        if cell.cell_type == "code"
        else "text"
        for cell in cells
    ]


def test_the_course_is_slides(tmp_path: Path) -> None:
    """Each cell says where it stands; the first of a lesson and of a part begin one."""
    import jupytext

    exporters = pytest.importorskip("nbconvert", reason="needs nbconvert: pip install")
    for path in (FOLDER / lesson for lesson in LESSONS if lesson.stem in COURSE):
        notebook = jupytext.read(path)
        kinds = [cell.metadata.get("slideshow", {}) for cell in notebook.cells]
        kinds = [kind.get("slide_type") for kind in kinds]
        assert set(kinds) <= {"slide", "subslide", "fragment", "-"}, path
        for cell, kind in zip(notebook.cells, kinds):
            if cell.source.startswith(("# ", "## ")) and cell.cell_type == "markdown":
                assert kind == "slide", (path, cell.source)
        page, _ = exporters.SlidesExporter().from_notebook_node(notebook)
        assert page.count("<section") >= kinds.count("slide") >= 4


@pytest.mark.parametrize("name", sorted({path.name for path in LESSONS}))
def test_both_languages_have_the_same_cells(name: str) -> None:
    assert code(FOLDER / "en" / name) == code(FOLDER / "zh-TW" / name)
    for language in ("en", "zh-TW"):
        text = (FOLDER / language / name).read_text("utf-8")
        assert f'cr.set_language("{language}")' in text
        assert "Try it" in text or "動手試試" in text
