"""The case: what is examined, and the evidence, measured when a symptom asks for it."""

from __future__ import annotations

import math
from functools import cached_property
from typing import Any

import numpy as np

from chainrule.doctor import evidence, first_bad, labels, network
from chainrule.doctor.changes import rate_times
from chainrule.doctor.evidence import severity
from chainrule.doctor.finding import Change, Comparison, shown
from chainrule.doctor.first_bad import FirstBad
from chainrule.doctor.setup import Setup, run
from chainrule.doctor.standing import Standing
from chainrule.errors import ChainruleError, NonFiniteError
from chainrule.graph.node import Array
from chainrule.random import Generator, permutation
from chainrule.random.generator import stream
from chainrule.tensor import tensor
from chainrule.text import _, joined, ngettext
from chainrule.training.nonfinite import step_of
from chainrule.training.source import StepInputs
from chainrule.util.pytree import leaves

#: The factors of a short range test of rates.
FACTORS = (0.001, 0.01, 0.1, 10.0, 100.0)
#: Rows of which a gradient is asked.
FEW_ROWS = 8
#: Rows of which all outputs are looked at; of large networks fewer, so many numbers.
SEEN_ROWS, SEEN = 256, 1 << 24
#: Further ones, as long as the highest so far is no worse than the asked rate.
HIGHER = (1e4, 1e6, 1e8)


class Case(Standing):
    """The case of a diagnosis: trial runs, comparisons, and evidence, each made once.

    See :class:`~chainrule.doctor.subject.Subject` for arguments and attributes.
    """

    # -- comparisons -------------------------------------------------------------------

    def compare(self, *changes: Change) -> Comparison | None:
        """Return what the best of alternative changes does, measured on copies.

        Of those that are about as good the one that is named first. A gain near the
        threshold is measured with further seeds. None: the budget does not reach, which
        is noted, or no change applies.
        """
        found = [c for change in changes if (c := self._compared_with(change))]
        best = max((c.gain for c in found), default=0.0)
        alike = evidence.RISK[self.metric]
        return next((c for c in found if c.gain >= best - alike), None)

    def _compared_with(self, change: Change) -> Comparison | None:
        key = change.before, change.after
        if key in self._compared:
            return self._compared[key]
        before, after = list[float | None](), list[float | None]()
        result: Comparison | None = None
        for seed in range(evidence.MOST):
            setup = self.drawn(change, seed=seed)
            if not self.known_as_it_is(seed) or not self.budget.takes(self.cost(setup)):
                if seed >= evidence.SEEDS:
                    break
                # A gain near the threshold, of too few seeds, decides nothing.
                self.untried.append(change.what)
                self.not_examined["changes"] = _(
                    "the budget of {n:g} s is spent; not tried: {what}",
                    n=self.budget.seconds,
                    what=joined("; ", dict.fromkeys(self.untried)),
                )
                return None
            before.append(self.before[seed])
            after.append(self.run_scored(setup))
            chance = self._by_chance(before, after)
            result = Comparison(
                change,
                self.metric,
                tuple(before),
                tuple(after),
                self.baseline,
                max(self.noise(before[0], after[0]), chance if self.fitted else 0.0),
                self.share,
                self.prepared().steps,
                self.setup.steps,
            )
            gain, tried = result.gain, seed + 1
            if tried < evidence.SEEDS:
                if not self.fitted and not evidence.is_near(gain, self.metric):
                    break
            elif self.fitted or abs(gain - evidence.SICK[self.metric]) > chance:
                break
            elif self.budget.spent > self.budget.seconds / 2:
                break  # further symptoms need the rest
        if result is not None:
            self._compared[key] = result
        return result

    def _by_chance(self, *scores: list[float | None]) -> float:
        """Return the standard error of a difference of means over seeds."""
        known = [[self.baseline if s is None else s for s in part] for part in scores]
        if min(map(len, known)) < 2:
            return 1.0  # of a single draw nothing is known
        return math.sqrt(sum(np.var(part, ddof=1) / len(part) for part in known))

    def judge(self, *changes: Change) -> tuple[str | None, Comparison | None]:
        """Return the severity that trying changes shows, and the best comparison."""
        best = self.compare(*changes)
        level = severity(best)
        if level != "sick" or best is None or self.whole_score is None:
            return level, best
        # The run may only have begun to learn when the trial ended.
        after = [self.baseline if s is None else s for s in best.after]
        reached = float(np.mean(after))
        if reached - self.whole_score <= evidence.SICK[self.metric]:
            whole = self._whole(best.change)
            if whole is None:
                self.not_examined["whole_run"] = _(
                    "the whole run with the change: the budget is spent"
                )
            reached = reached if whole is None else max(reached, whole)
        cures = reached - self.whole_score > evidence.SICK[self.metric]
        return "sick" if cures else "risk", best

    @cached_property
    def whole_score(self) -> float | None:
        """The score of the run as asked, to its last step, where the trial was cut.

        None where the trial was complete, or beyond the budget.
        """
        if self.complete or self.trial.error is not None:
            return None
        score = self._whole()
        if score is not None:
            self.examined["whole_run"] = _(
                "{name} {score} after its last step, {n:,}",
                name=labels.METRICS[self.metric],
                score=shown(self.metric, score),
                n=self.setup.steps,
            )
        return score

    def _whole(self, *changes: Change) -> float | None:
        """Return the score of a run with all of the steps; None beyond the budget."""
        whole = self.prepared(*changes, steps=self.setup.steps)
        if not self.budget.takes(self.cost(whole)):
            return None
        score = self.run_scored(whole)
        return self.baseline if score is None else score

    def judge_each(
        self, *changes: tuple[str, Change | None]
    ) -> tuple[str | None, Comparison | None, str | None]:
        """Return severity and best comparison of changes, and the component it mends.

        Args:
            changes: the component that each mends, and the change; None is passed over.
        """
        made = {id(change): part for part, change in changes if change is not None}
        severity, best = self.judge(*(c for __, c in changes if c is not None))
        part = None if best is None else self._part(made, best.change, changes)
        return severity, best, part

    @staticmethod
    def _part(
        made: dict[int, str],
        best: Change,
        changes: tuple[tuple[str, Change | None], ...],
    ) -> str | None:
        if id(best) in made:
            return made[id(best)]
        # It was compared before, for another symptom.
        return next((part for part, c in changes if c is not None and c == best), None)

    def explained(self, code: str) -> bool:
        """Return whether something sick was found that explains a symptom."""
        return any(code in self.explains.get(found, ()) for found in self.sick)

    @cached_property
    def first_bad(self) -> FirstBad | None:
        """The first operation that gave no finite number in the step that failed."""
        trainer = self.trial.trainer
        if trainer is None or not isinstance(self.trial.error, NonFiniteError):
            return None
        setup = self.trial.setup
        columns = {k: c.stored for k, c in leaves(setup.train.x, "x").items()}
        arrays = columns | leaves(setup.train.y, "y")
        order = permutation(len(setup.train), trainer.seed, trainer.epoch)
        first = trainer.step * setup.batch_size
        rows = order[first : first + setup.batch_size]
        if setup.accumulate > 1 or not len(rows):
            return None
        try:
            program = trainer.program
            indexed = "index" in program.traced["train"].entry.inputs
            taken = {name: array[rows] for name, array in arrays.items()}
            work = StepInputs({**arrays, "index": rows} if indexed else taken)
            return first_bad.find(*step_of(program, "train", work))
        except ChainruleError:
            return None

    # -- further measurements ----------------------------------------------------------

    def first(self, kind: str) -> dict[str, float]:
        """Return the probes of a kind at the first step of the trial, by module."""
        head = f"{kind}/"
        found = self.trial.steps.items()
        return {
            name.removeprefix(head): float(a[0])
            for name, a in found
            if name.startswith(head) and len(a)
        }

    @cached_property
    def rates(self) -> dict[float, float]:
        """The loss at the end of short runs, by the factor of the rate; ∞: no numbers.

        Empty where the budget does not reach.
        """
        asked = self.prepared()
        each = self.cost(asked) / asked.steps
        third = int(evidence.TRIAL * self.budget.seconds / each) // 3
        steps = max(20, min(third, asked.steps))
        cost = (len(FACTORS) + 1) * steps * each
        if rate_times(self.setup, FACTORS[0]) is None:
            self.not_examined["schedule"] = _(
                "a range test: the schedule names no rate"
            )
            return {}
        if not self.budget.takes(cost):
            self.not_examined["rates"] = _("a range test of rates: the budget is spent")
            return {}
        found: dict[float, float] = {}
        for factor in (*FACTORS, 1.0):
            change = rate_times(self.setup, factor)
            record = run(self.prepared(*([change] if change else []), steps=steps))
            found[factor] = record.loss_at_end()
        for factor in HIGHER:
            top = found[max(found)]
            change = rate_times(self.setup, factor)
            if not top <= found[1.0] < math.inf or change is None:
                break
            if not self.budget.takes(steps * each):
                self.not_examined["rates"] = _(
                    "rates above {top:,.0f} times yours: the budget is spent",
                    top=max(found),
                )
                break
            found[factor] = run(self.prepared(change, steps=steps)).loss_at_end()
        self.examined["rates"] = _(
            "{n} rates from 1/1,000 to {top:,.0f} times yours, {k} steps each",
            n=len(found),
            top=max(found),
            k=steps,
        )
        return dict(sorted(found.items()))

    @cached_property
    def one_batch(self) -> tuple[float, float] | None:
        """The loss of one batch before and after updates on it alone.

        At the best rate of the range test. None where the budget does not reach.
        """
        steps = min(200, self.trial_steps)
        if not self.budget.takes(steps * (self.step_cost + evidence.EPOCH)):
            self.not_examined["one_batch"] = _("one batch alone: the budget is spent")
            return None
        rates = self.rates
        best = min(rates, key=lambda f: rates[f], default=1.0)
        change = rate_times(self.setup, best)
        setup = self.prepared(*([change] if change else []))
        rows = permutation(len(setup.train), 0, 0)[: setup.batch_size]
        setup.train, setup.epochs = setup.train.rows(rows), steps
        record = run(setup)
        self.examined["one_batch"] = ngettext(
            "{n} update on one batch alone", "{n} updates on one batch alone", n=steps
        )
        return record.loss_at_start(), record.loss_at_end()

    @cached_property
    def seen(self) -> dict[str, Array] | None:
        """The outputs of the modules on some rows, with initial weights."""
        return self._seen(self.setup)

    @cached_property
    def seen_at_end(self) -> dict[str, Array] | None:
        """The outputs of the modules on some rows, after the trial run."""
        return self._seen(self.trial.setup)

    @cached_property
    def rows_seen(self) -> int:
        """The number of rows whose outputs are looked at: fewer of large networks."""
        few = self._outputs(self.setup, FEW_ROWS) or {}
        each = sum(a.size for a in few.values()) // FEW_ROWS
        most = min(max(FEW_ROWS, SEEN // max(each, 1)), SEEN_ROWS)
        return min(most, len(self.part or self.train))

    def _seen(self, setup: Setup) -> dict[str, Array] | None:
        return self._outputs(setup, self.rows_seen)

    def _outputs(self, setup: Setup, rows: int) -> dict[str, Array] | None:
        """Return the outputs of modules on the first rows; None: they cannot run."""
        if not self.single or self.network is None:
            return None
        try:
            return self.outputs_of(setup, setup.train.x[:rows])
        except ChainruleError:
            return None

    @staticmethod
    def outputs_of(setup: Setup, x: Array) -> dict[str, Array]:
        """Return the outputs of a setup's modules on rows, as in prediction, by path.

        The model is a copy. Errors are those of its layers.
        """
        model = setup.copy().model
        return network.seen(model, _tensor(x, model))

    @cached_property
    def without_gradient(self) -> list[str]:
        """The names of trainable parameters on which no output depends.

        Asked of a few rows; empty where the network cannot be called by itself.
        """
        if not self.single or self.network is None:
            return []
        model = self.setup.copy().model.eval()
        try:
            with stream(Generator(0)):
                outputs = model(_tensor(self.setup.train.x[:FEW_ROWS], model))
                outputs.square().sum().backward()
        except Exception:  # noqa: BLE001 - of the user's model
            return []
        known = model.named_parameters()
        return [name for name, p in known if p.requires_grad and p.grad is None]


def _tensor(x: Array, model: Any) -> Any:
    dtype = next((p.dtype for p in model.parameters()), None)
    made = tensor(np.ascontiguousarray(x))
    return made.astype(dtype) if dtype is not None and made.dtype.is_float else made
