"""The case: what is examined, and the evidence, measured when a symptom asks for it."""

from __future__ import annotations

import math
from functools import cached_property
from typing import Any

import numpy as np

from chainrule.doctor import evidence, first_bad, labels, network, reference
from chainrule.doctor.changes import rate_times, redrawn
from chainrule.doctor.columns import ASKED, KNOWN
from chainrule.doctor.evidence import severity
from chainrule.doctor.finding import Change, Comparison, shown
from chainrule.doctor.first_bad import FirstBad
from chainrule.doctor.setup import PROBES, Record, Setup, as_drawn, run
from chainrule.doctor.subject import SCORED, Subject, is_own
from chainrule.errors import ChainruleError, NonFiniteError
from chainrule.graph.node import Array
from chainrule.nn import output_semantics
from chainrule.random import permutation
from chainrule.tensor import tensor
from chainrule.text import _, joined
from chainrule.training.nonfinite import step_of
from chainrule.training.source import StepInputs
from chainrule.util.pytree import leaves

#: The factors of a short range test of rates.
FACTORS = (0.001, 0.01, 0.1, 10.0, 100.0)
#: Further ones, as long as the highest so far is no worse than the asked rate.
HIGHER = (1e4, 1e6, 1e8)


class Case(Subject):
    """The case of a diagnosis: its subject, and trial runs on copies, each made once.

    See :class:`~chainrule.doctor.subject.Subject` for arguments and attributes.
    """

    # -- trial runs --------------------------------------------------------------------

    @cached_property
    def step_cost(self) -> float:
        """The assumed seconds of one training step."""
        found = self.network
        if found is None:
            return evidence.step_seconds(self.setup.engine, 0.0)
        sizes = dict.fromkeys(("N", *found.graph.size_names), self.setup.batch_size)
        work = network.cost(found.graph, sizes) * evidence.BACKWARD
        return evidence.step_seconds(self.setup.engine, work)

    @cached_property
    def trial_steps(self) -> int:
        """The largest number of steps of a trial run."""
        return max(20, int(evidence.TRIAL * self.budget.seconds / self.step_cost))

    def cost(self, setup: Setup) -> float:
        """Return the assumed seconds of a run: of its steps, and of its epochs."""
        return setup.steps * self.step_cost + setup.epochs * evidence.EPOCH

    def prepared(self, *changes: Change, seed: int = 0, steps: int = 0) -> Setup:
        """Return a copy with changes, for a trial run of at most so many steps."""
        setup = self.setup.copy()
        setup.train = self.part or setup.train
        if len(setup.held_out) > SCORED:
            setup.held_out = setup.held_out.take(SCORED)
        setup.batch_size = min(setup.batch_size, len(setup.train))
        setup.seed = setup.seed + seed
        for change in changes:
            change.apply(setup)
        times = max([change.times for change in changes], default=1)
        besides = 0.0 if steps else evidence.EPOCH / self.step_cost
        return setup.shortened((steps or self.trial_steps) * times, besides)

    @cached_property
    def complete(self) -> bool:
        """A flag: trial runs are as long as the run that was asked for."""
        return self.prepared().epochs == self.setup.epochs and (
            self.setup.steps <= self.trial_steps
        )

    @cached_property
    def trial(self) -> Record:
        """The run as asked, or a shorter one, with probes."""
        setup = self.prepared()
        self.budget.takes(self.cost(setup))
        record = run(setup, PROBES, watch=True)
        self.examined["trial_run"] = (
            _("it ended in an error, after {n:,} steps", n=len(record.losses))
            if record.error is not None
            else _("all of the {n:,} steps that were asked for", n=setup.steps)
            if self.complete
            else _(
                "{n:,} of the {all:,} steps that were asked for",
                n=setup.steps,
                all=self.setup.steps,
            )
        )
        return record

    @property
    def runs(self) -> bool:
        """A flag: the trial run was not refused, whatever numbers it gave."""
        if self.network is None:
            return False
        error = self.trial.error
        return error is None or isinstance(error, NonFiniteError)

    @property
    def never_begins(self) -> bool:
        """A flag: the first step already gives no number, so no rate plays a part."""
        return self.trial.error is not None and not len(self.trial.losses)

    @cached_property
    def score(self) -> float | None:
        """The score of the trial run; None where it gave no numbers."""
        score = self.score_of(self.trial)
        if score is not None:
            n = min(SCORED, len(self.setup.held_out))
            trained_on = self.setup.held_out is self.train or self.fitted
            rows = (
                _("{n} training rows", n=n)
                if trained_on
                else _("{n} held-out rows", n=n)
            )
            self.examined["score"] = _(
                "{name} {score} on {rows}; {base} for a constant answer",
                name=labels.METRICS[self.metric],
                score=shown(self.metric, score),
                rows=rows,
                base=shown(self.metric, self.baseline),
            )
        return score

    @property
    def can_be_sick(self) -> bool:
        """A flag: a change could better the score by about what counts as sick.

        Half of it is enough to look: other seeds may be worse than the first.
        """
        return self.score is None or self.score < 1 - evidence.SICK[self.metric] / 2

    def score_of(self, record: Record) -> float | None:
        """Return the score of a run on the held-out rows; None without numbers."""
        if record.error is not None or record.trainer is None:
            return None
        if self.metric == "share_of_loss_gone":
            # Another loss has another first one, and a refused trial has none.
            own = record.setup.other_loss or not len(self.trial.losses)
            first = (record if own else self.trial).loss_at_start()
            last = record.rows[-1]["validation_loss"] if record.rows else math.nan
            known = first > 0 and math.isfinite(last)
            return float(np.clip(1 - last / first, -1, 1)) if known else None
        held = record.setup.held_out.take(min(SCORED, len(record.setup.held_out)))
        try:
            outputs = record.trainer.predict(held)
        except ChainruleError:
            return None
        if self.metric == "r2":
            y = np.asarray(held.y, np.float64).reshape(len(held), -1)
            if outputs.size != y.size:
                return None
            off = ((outputs.reshape(y.shape).astype(np.float64) - y) ** 2).sum()
            spread = float(((y - y.mean(0)) ** 2).sum())
            return max(-1.0, 1 - float(off) / spread) if spread else None
        known = self.classes(held.y)
        if outputs.ndim == 2 and outputs.shape[1] > 1 and self.task == "classes":
            said = outputs.argmax(1)
        else:
            said = (outputs.reshape(-1) >= self._cut(record, outputs)).astype(int)
        return float((said == known).mean()) if len(said) == len(known) else None

    def _cut(self, record: Record, outputs: Array) -> float:
        """Return the output from which on a run says 1."""
        loss = record.setup.loss
        cut = output_semantics.threshold(loss)
        shares = outputs.min() >= 0 and outputs.max() <= 1
        if is_own(loss) and not (shares and np.min(self.train.y) >= 0):
            cut = self.asked.cut  # of scores: a sigmoid may have come or gone
        return 0.5 if cut is None else cut

    def run_scored(self, setup: Setup) -> float | None:
        """Run a copy and return its score."""
        watch = self.metric == "share_of_loss_gone"
        return self.score_of(run(setup, watch=watch))

    def noise(self, before: float | None, after: float | None) -> float:
        """Return the standard error of the difference of two scores.

        Of rows that are all there is, none are drawn.
        """
        if self.fitted:
            return 0.0
        n = min(SCORED, len(self.setup.held_out))
        a, b = (self.baseline if s is None else s for s in (before, after))
        if self.metric == "accuracy":
            # Two hits and two misses more: of a few rows, all or none right is chance.
            a, b = ((s * n + 2) / (n + 4) for s in (a, b))
            return math.sqrt(max(a * (1 - a) + b * (1 - b), 0.0) / n)
        # A mean of n squares of normal numbers has a relative error of √(2/n).
        return math.sqrt(2 / n) * math.hypot(1 - a, 1 - b)

    def compare(self, *changes: Change) -> Comparison | None:
        """Return what the best of alternative changes does, measured on copies.

        A gain near the threshold is measured with further seeds. None: the budget does
        not reach, which is noted, or no change applies.
        """
        found = [c for change in changes if (c := self._compared_with(change))]
        return max(found, key=lambda c: c.gain, default=None)

    def _compared_with(self, change: Change) -> Comparison | None:
        key = change.before, change.after
        if key in self._compared:
            return self._compared[key]
        self._before.setdefault(0, self.score)
        before, after = [self.score], list[float | None]()
        for seed in range(evidence.SEEDS):
            # Of rows that are all there is, only the initial weights are chance.
            drawn = [self._redraw] if self.fitted and seed else []
            setup = self.prepared(*drawn, change, seed=seed)
            # Without the change a seed gives the same beside every change.
            as_it_is = (
                None if seed in self._before else self.prepared(*drawn, seed=seed)
            )
            cost = self.cost(setup) + (self.cost(as_it_is) if as_it_is else 0.0)
            if not self.budget.takes(cost):
                # A gain near the threshold, of too few seeds, decides nothing.
                self.untried.append(change.what)
                self.not_examined["changes"] = _(
                    "the budget of {n:g} seconds is spent; not tried: {what}",
                    n=self.budget.seconds,
                    what=joined("; ", dict.fromkeys(self.untried)),
                )
                return None
            if as_it_is is not None:
                self._before[seed] = self.run_scored(as_it_is)
            if seed:
                before.append(self._before[seed])
            after.append(self.run_scored(setup))
            result = Comparison(
                change,
                self.metric,
                tuple(before),
                tuple(after),
                self.baseline,
                max(self.noise(before[0], after[0]), self._by_chance(before, after)),
                # What ends without numbers does not catch up.
                self.complete or isinstance(self.trial.error, NonFiniteError),
            )
            if not self.fitted and not evidence.is_near(result.gain, self.metric):
                break
        self._compared[key] = result
        return result

    @cached_property
    def _redraw(self) -> Change:
        """Other initial weights, where those given look like a draw."""
        return redrawn(as_drawn(self.setup.model))

    def _by_chance(self, *scores: list[float | None]) -> float:
        """Return the standard error of a difference of means over seeds."""
        if not self.fitted:
            return 0.0
        known = [[self.baseline if s is None else s for s in part] for part in scores]
        if min(map(len, known)) < 2:
            return 1.0  # of a single draw nothing is known
        return math.sqrt(sum(np.var(part, ddof=1) / len(part) for part in known))

    def judge(self, *changes: Change) -> tuple[str | None, Comparison | None]:
        """Return the severity that trying changes shows, and the best comparison."""
        best = self.compare(*changes)
        return severity(best), best

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
        self.examined["one_batch"] = _("{n} updates on one batch alone", n=steps)
        return record.loss_at_start(), record.loss_at_end()

    @cached_property
    def seen(self) -> dict[str, Array] | None:
        """The outputs of the modules on some rows, with initial weights."""
        return self._seen(self.setup)

    @cached_property
    def seen_at_end(self) -> dict[str, Array] | None:
        """The outputs of the modules on some rows, after the trial run."""
        return self._seen(self.trial.setup)

    def _seen(self, setup: Setup) -> dict[str, Array] | None:
        if not self.single or self.network is None:
            return None
        x = setup.train.x[: min(256, len(setup.train))]
        model = setup.copy().model
        try:
            return network.seen(model, _tensor(x, model))
        except ChainruleError:
            return None

    @cached_property
    def signal(self) -> float | None:
        """The score of simple means, which know nothing of the network or its training.

        The better one of the five nearest neighbours and a linear fit; where the rows
        that are asked are the training rows, of rows known by heart. None where there
        are no single features and targets, or too few rows.
        """
        if not self.single or self.task == "unknown":
            return None
        train, held = self.part or self.train, self.setup.held_out
        if len(train) < 20 and not self.fitted:
            return None
        rows = np.sort(permutation(len(train), 0, 0)[:KNOWN])
        x = np.asarray(train.x[rows], np.float64).reshape(len(rows), -1)
        count = min(ASKED, len(held))
        asked = np.asarray(held.x[:count], np.float64).reshape(count, -1)
        y, truth = self._targets(train.y[rows]), self._targets(held.y[:count])
        if len(y) != len(x) or len(truth) != count or x.shape[1] != asked.shape[1]:
            return None
        if self.fitted:
            return reference.agreement(
                self.task, reference.by_heart(asked, truth), truth
            )
        found = [reference.by_neighbours(x, y, asked), reference.by_line(x, y, asked)]
        self.examined["signal"] = _(
            "the five nearest neighbours of {n} rows among {k}, and a linear fit",
            n=count,
            k=len(x),
        )
        scores = [
            reference.agreement(self.task, said, truth)
            for said in found
            if said is not None
        ]
        return max((s for s in scores if s is not None), default=None)

    def _targets(self, y: Array) -> Array:
        """Return targets as columns of numbers: of classes one each."""
        if self.task == "quantities":
            return np.asarray(y, np.float64).reshape(len(y), -1)
        if self.task == "binary":
            return (np.asarray(y).reshape(len(y), -1) > 0.5).astype(np.float64)
        known = self.classes(y)
        parts = self.train, self.setup.held_out
        count = 1 + max(int(self.classes(part.y).max()) for part in parts)
        return (known[:, None] == np.arange(count)).astype(np.float64)

    @property
    def behind(self) -> bool:
        """A flag: the trial is behind simple means by half of what is sick.

        Beyond the standard error, for so many held-out rows: enough to try treatments.
        """
        signal = self.signal
        if signal is None or self.trial.error is not None:
            return False
        lost = signal - (self.baseline if self.score is None else self.score)
        noise = self.noise(self.score, signal)
        return lost > max(evidence.SICK[self.metric] / 2, noise)

    @property
    def stalls(self) -> bool:
        """A flag: a complete trial finds almost nothing where simple means find much.

        Less than a quarter of what simple means find beyond a constant
        answer, which must be twice what counts as sick; and beyond chance, for so few
        or many held-out rows.
        """
        signal = self.signal
        if signal is None or not self.complete or self.trial.error is not None:
            return False
        there = signal - self.baseline
        found = (self.baseline if self.score is None else self.score) - self.baseline
        if there - found <= 2 * self.noise(self.score, signal):
            return False
        return there > 2 * evidence.SICK[self.metric] and found < 0.25 * there


def _tensor(x: Array, model: Any) -> Any:
    dtype = next((p.dtype for p in model.parameters()), None)
    made = tensor(np.ascontiguousarray(x))
    return made.astype(dtype) if dtype is not None and made.dtype.is_float else made
