"""The diagnosis of a study: of the Trainers and loops that it has, one by one."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Self

from chainrule.doctor import page, saving, view
from chainrule.doctor.diagnosis import Diagnosis
from chainrule.doctor.finding import Fix
from chainrule.text import _, tr, translated


@dataclass
class StudyDiagnosis:
    """The diagnosis of a study: one of each stage that was examined, by name.

    Attributes:
        name: of the study.
        stages: the diagnoses, in the order of the stages.
        quick: whether it was run at its quick settings.
        left: why further stages were not examined; "" where there are none.
        interrupted: whether Ctrl-C ended it early.
    """

    name: str
    stages: dict[str, Diagnosis] = field(default_factory=dict[str, Diagnosis])
    quick: bool = False
    left: str = ""
    interrupted: bool = False

    @property
    def healthy(self) -> bool:
        """A flag: in no stage anything was found that is sick."""
        return all(stage.healthy for stage in self.stages.values())

    def fix(self, *, steps: int | None = None) -> list[Fix]:
        """Search for changes that cure the Trainers; see :meth:`Diagnosis.fix`.

        Loops cannot be repeated, so nothing is tried on them.
        """
        found: list[Fix] = []
        for stage in self.stages.values():
            if stage.case is not None and not self.interrupted:
                found += stage.fix(steps=steps)
                self.interrupted = stage.interrupted
        return found

    def to_dict(self) -> dict[str, Any]:
        """Return the diagnoses as data for JSON, findings and fixes with their stage.

        ``stages`` has each of them whole.
        """
        return self._document({k: d.to_dict() for k, d in self.stages.items()})

    def _document(self, stages: Mapping[str, dict[str, Any]]) -> dict[str, Any]:
        flat = {
            part: [
                {"stage": name} | one
                for name, document in stages.items()
                for one in document[part]
            ]
            for part in ("findings", "fixes")
        }
        return {
            "study": self.name,
            "quick": self.quick,
            "healthy": self.healthy,
            "seconds": sum(document["seconds"] for document in stages.values()),
            **flat,
            "stages": stages,
            "left": translated(self.left),
            "interrupted": self.interrupted,
        }

    def save(self, path: Any) -> None:
        """Write all diagnoses as one JSON file; see :meth:`Diagnosis.save`.

        Raises:
            SaveError: it cannot be written.
        """
        stages = {k: saving.document_of(d) for k, d in self.stages.items()}
        saving.write(self._document(stages), Path(path))

    @classmethod
    def load(cls, path: Any) -> Self:
        """Return the diagnosis of a study from a file that :meth:`save` wrote.

        Raises:
            DataError: there is no such file, or it is none.
        """
        return saving.read(Path(path), of=cls.of_document)

    @classmethod
    def of_document(cls, document: Mapping[str, Any]) -> Self:
        """Return the diagnosis of a study from the document of its file."""
        stages = {
            str(name): Diagnosis(**saving.arguments(stage))
            for name, stage in document["stages"].items()
        }
        quick, interrupted = (bool(document[k]) for k in ("quick", "interrupted"))
        left = str(document["left"])
        return cls(str(document["study"]), stages, quick, left, interrupted)

    def headline(self) -> str:
        """Return the diagnosis of a study in one line."""
        if self.interrupted:
            return tr("Interrupted: what was found until then.")
        if not self.stages:
            return tr(
                "Not known: {name} has no stage that can be examined.", name=self.name
            )
        sick = [name for name, stage in self.stages.items() if not stage.healthy]
        if sick:
            return tr("Sick: {names}.", names=tr(", ").join(sick))
        return tr(
            "{name}: nothing was found that costs learning. Stages examined: {n}.",
            name=self.name,
            n=len(self.stages),
        )

    def notes(self) -> list[str]:
        """Return what stands below the stages: what else was not examined."""
        short = _("These are the quick settings; --full takes the full ones.")
        return [translated(t) for t in (self.left, short if self.quick else "") if t]

    def __str__(self) -> str:
        parts = [self.headline()]
        parts += [
            f"── {name} {'─' * max(0, view.WIDE - len(name) - 4)}\n{stage}"
            for name, stage in self.stages.items()
        ]
        return "\n\n".join([*parts, *self.notes()])

    __repr__ = __str__

    def _repr_html_(self) -> str:
        return page.of_study(self)

    def to_html(self) -> str:
        """Return the diagnosis of a study as a page of its own."""
        return page.alone(page.of_study(self))


def loaded(path: Any) -> Diagnosis | StudyDiagnosis:
    """Return the diagnosis of a file: of a training, or of a study.

    Raises:
        DataError: there is no such file, or it is no diagnosis.
    """

    def made(document: Mapping[str, Any]) -> Diagnosis | StudyDiagnosis:
        if "stages" in document:
            return StudyDiagnosis.of_document(document)
        return Diagnosis(**saving.arguments(document))

    return saving.read(Path(path), of=made)
