"""The search of fixes: changes tried together, on copies, by successive halving.

Candidates are sets of changes that go together. All of them are trained for a ninth of
the run, the best third of them on to a third of it, and the best third of those to its
end (Jamieson & Talwalkar 2016, *Non-stochastic best arm identification*; Li et al.
2018, *Hyperband*, with η = 3). A run that goes on is not begun anew, and what the
diagnosis has tried counts. Around the best set the next round changes one thing more,
until nothing helps, all but :data:`ENOUGH` of the score is reached, or the steps are
spent. Where the best set is behind the references then, sets are drawn (Bergstra &
Bengio 2012). At last what does not help is left out again.

Whoever leads is measured over several seeds, which draw other initial weights where
those given look like a draw, and leads no more where it had luck.
"""

from __future__ import annotations

import math
import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from random import Random
from typing import Any

from chainrule.doctor import changes, initialising, space
from chainrule.doctor.case import Case
from chainrule.doctor.evidence import MOST, RISK
from chainrule.doctor.finding import Change, Comparison, Finding, Fix
from chainrule.doctor.setup import Run, as_drawn

#: By how much fewer candidates go on each time, and how many at least reach the end.
ETA, LAST = 3, 3
#: The shares of a run after which candidates are compared.
RUNGS = (1 / 9, 1 / 3, 1.0)
#: A search ends at a score of which no more than this is missing.
ENOUGH = 0.01
#: Rounds around the best, and candidates of one round.
ROUNDS, WIDTH = 4, 24
#: Rounds of sets that are drawn, where the best one is behind the references still, and
#: the most changes of such a set.
DRAWS, MANY = 2, 4
#: The largest number of steps of a search: those of the diagnosis's budget, times this.
TIMES = 3

#: Changes that are made together.
Set = tuple[Change, ...]


@dataclass
class Tried:
    """A set of changes, and the scores that it reached.

    Attributes:
        changes: the set.
        run: of its first seed, until now; None where it has not begun, or is over.
        score: on held-out rows, of the first seed, until now; None: no numbers.
        share: of the run that is done.
        steps: of the whole run.
        by_seed: scores of whole runs, the first seed first.
    """

    changes: Set
    run: Run | None = None
    score: float | None = None
    share: float = 0.0
    steps: int = 0
    by_seed: list[float | None] = field(default_factory=list[float | None])


@dataclass
class Spent:
    """The cost of a search.

    Attributes:
        steps: training steps of all runs together.
        runs: candidates that were trained, wholly or in part.
        whole: those that were trained to the end.
        seconds: by the clock.
        limit: the largest number of steps.
    """

    steps: int = 0
    runs: int = 0
    whole: int = 0
    seconds: float = 0.0
    limit: int = 0

    def to_dict(self) -> dict[str, Any]:
        """Return the cost of a search as data for JSON."""
        return dict(vars(self))


class Search:
    """A search of fixes for a case.

    Args:
        case: what was examined.
        findings: in order.
        limit: the largest number of training steps; None: by the case's budget.

    Attributes:
        spent: the cost until now.
        tried: the candidates that reached the end of a run, by the codes of changes.
    """

    def __init__(
        self, case: Case, findings: Sequence[Finding], limit: int | None = None
    ) -> None:
        self.case, self.findings = case, list(findings)
        if limit is None:
            asked = case.prepared()
            each = case.cost(asked) / asked.steps
            limit = int(TIMES * case.budget.seconds / each)
        self.spent = Spent(limit=limit)
        #: What the setup as it is takes at the end, with other seeds.
        self._kept = (MOST - 1) * case.prepared().steps
        self.space, self.finer = space.space(case, findings), space.finer(case)
        #: Further seeds draw other weights, where those given look like a draw.
        self.redraw = initialising.redrawn(as_drawn(case.setup.model))
        self.tried: dict[Any, Tried] = {}
        for known in case.compared:  # whole runs, which the diagnosis has trained
            one, scores = known.change.single, list(known.after)
            steps = case.prepared(known.change).steps
            made = Tried(one, None, scores[0], 1.0, steps, scores[:1])
            self.tried[_key(one)] = made
        self.before: list[float | None] = []
        self.draw = Random(0)
        self._begun = time.perf_counter()

    # -- searching ---------------------------------------------------------------------

    def run(self) -> None:
        """Search until nothing helps any more; an interrupt keeps what is known."""
        try:
            best = self._leader()
            if best is None or not self._enough(best):
                self._halve(self._first())
                best = self._climb(self._leader())
            for __ in range(DRAWS):
                if best is None or not self._behind(best):
                    break
                self._halve(self._drawn())
                new = self._leader()
                if new is not None and self._beats(new, best):
                    best = self._climb(new)
            if best is not None:
                self._prune(best)
                self._leader()
            self.before = [self.case.score]
            most = max((len(t.by_seed) for t in self.tried.values()), default=1)
            self.before += [self._scored((), seed) for seed in range(1, most)]
        finally:
            self.spent.seconds = time.perf_counter() - self._begun

    def _climb(self, best: Tried | None) -> Tried | None:
        """Change one thing more, round by round, until nothing helps."""
        for __ in range(ROUNDS):
            if best is None or self._enough(best):
                break
            self._halve(self._around(best.changes))
            new = self._leader()
            if new is None or not self._beats(new, best):
                break
            best = new
        return best

    def _first(self) -> list[Set]:
        """Return the candidates of the first round: alone, and together."""
        case, found = self.case, self.findings
        causes = [f for f in found if f.consequence_of is None and f.change is not None]
        sure = space.proposed(f for f in causes if f.confidence == 1)
        mine = space.proposed(f for f in causes if f.severity != "note")
        alone = space.proposed(found)
        usual = space.unique(space.usual(case))
        sets: list[Iterable[Change]] = [mine, *([c] for c in alone)]
        adams = [c for c in usual if "optimizer" in c.slots and "rate" in c.slots]
        for adam in adams:
            rest = [c for c in usual if not {"rate", "batch_size"} & set(c.slots)]
            sets += [[*mine, adam, *rest], [*sure, adam], [*mine, adam]]
            sets += [[*sure, adam, *rest]]
        weights = [c for c in usual if {"weights", "width"} & set(c.slots)]
        for adam in adams:
            sets += [[*sure, adam, w] for w in weights]
        sets += [[*sure, c] for c in self.space]
        return self._sets(sets)

    def _around(self, best: Set) -> list[Set]:
        """Return the sets that differ from the best one in a single change."""
        more = [[c, *best] for c in (*self.space, *self.finer) if c not in best]
        return self._sets(more)

    def _drawn(self) -> list[Set]:
        """Return sets that are drawn: what no single change leads to."""
        there = [*self.space, *self.finer]
        counts = [self.draw.randint(2, MANY) for __ in range(4 * WIDTH)]
        return self._sets(self.draw.sample(there, min(n, len(there))) for n in counts)

    def _sets(self, sets: Iterable[Iterable[Change]]) -> list[Set]:
        """Return sets whose changes go together, without repeats and known ones."""
        made: dict[Any, Set] = {}
        for one in sets:
            kept = changes.compatible(space.unique(one))
            key = _key(kept)
            if kept and key not in self.tried:
                made.setdefault(key, kept)
        return list(made.values())[:WIDTH]

    def _halve(self, sets: Sequence[Set]) -> None:
        """Train candidates in rungs; the best of them to the end of a run."""
        group = [Tried(one) for one in sets]
        for rung, share in enumerate(RUNGS):
            if rung:
                group = group[: max(LAST, math.ceil(len(group) / ETA))]
            group = [t for t in group if self._train(t, share)]
            group.sort(key=self._promise, reverse=True)

    def _train(self, tried: Tried, share: float) -> bool:
        """Go on with a candidate; return whether the steps were left for it."""
        if tried.run is None:
            setup = self.case.prepared(*tried.changes)
            tried.steps = setup.steps
            watch = self.case.metric == "share_of_loss_gone"
            tried.run = Run(setup, watch=watch)
        record = tried.run.record
        done = len(record.losses)
        if not self._leaves((share - tried.share) * tried.steps):
            return False
        self.spent.runs += not tried.share
        tried.run.to(share)
        self.spent.steps += len(record.losses) - done
        tried.score = self.case.score_of(record)
        tried.share = share
        if share == 1:
            self.spent.whole += 1
            tried.by_seed, tried.run = [tried.score], None
            self.tried[_key(tried.changes)] = tried
        return True

    def _leaves(self, steps: float) -> bool:
        """Return whether the limit leaves so many steps."""
        return self.spent.steps + steps + self._kept <= self.spent.limit

    # -- comparing ---------------------------------------------------------------------

    def _worth(self, tried: Tried) -> float:
        """Return the mean score over the seeds so far; no number counts as constant."""
        low = self.case.baseline
        scores = tried.by_seed or [tried.score]
        known = [low if s is None else max(s, low - 1) for s in scores]
        return sum(known) / len(known) - 1e-6 * (scores[0] is None)

    def _promise(self, tried: Tried) -> tuple[float, float]:
        """Return the score, then the share of the loss that is gone: it moves first."""
        gone = -1.0
        if tried.run is not None and tried.score is not None:
            record = tried.run.record
            first, last = record.loss_at_start(), record.loss_at_end()
            if first > 0 and math.isfinite(last):
                gone = 1 - last / first
        return round(self._worth(tried) / self._step), gone

    def _enough(self, tried: Tried) -> bool:
        return self._worth(tried) >= 1 - ENOUGH

    def _behind(self, tried: Tried) -> bool:
        """Return whether references find more than a set does, beyond what is well."""
        signal = self.case.signal
        if signal is None or self._enough(tried):
            return False
        return self._worth(tried) < signal - RISK[self.case.metric]

    def _beats(self, new: Tried, old: Tried) -> bool:
        return self._worth(new) > self._worth(old) + self._step

    @property
    def _step(self) -> float:
        """The gain below which two sets count as equally good."""
        return RISK[self.case.metric] / 4

    def _leader(self) -> Tried | None:
        """Return the best set over several seeds: who leads is measured further.

        Of equals the one of fewer changes leads, then what a finding has proposed. What
        the steps are not left for leads no more.
        """

        def place(tried: Tried) -> tuple[float, int, bool, int]:
            worth = -round(self._worth(tried) / self._step)
            strange = not self._code(tried.changes)
            return worth, len(tried.changes), strange, -len(tried.by_seed)

        there = [*self.tried.values()]
        while there:
            leader = min(there, key=place)
            if len(leader.by_seed) == MOST:
                return leader
            if not self._leaves(leader.steps):
                there.remove(leader)
                continue
            leader.by_seed.append(self._scored(leader.changes, len(leader.by_seed)))
        return None

    def _prune(self, best: Tried) -> None:
        """Leave out, one at a time, the changes without which it is as good."""
        kept = best.changes
        for change in reversed(best.changes):
            rest = tuple(c for c in kept if c is not change)
            if not rest or _key(rest) in self.tried:
                continue
            tried = Tried(rest)
            if not self._train(tried, 1.0):
                return
            if self._worth(tried) >= self._worth(best) - self._step:
                kept = rest

    def _scored(self, made: Set, seed: int) -> float | None:
        setup = self.case.prepared(self.redraw, *made, seed=seed)
        run = Run(setup, watch=self.case.metric == "share_of_loss_gone")
        record = run.to(1.0)
        self.spent.steps += len(record.losses)
        return self.case.score_of(record)

    # -- the result --------------------------------------------------------------------

    def fixes(self) -> list[Fix]:
        """Return what was measured and helps, the best first.

        Of those that are about as good as the best one the one of fewest changes.
        """
        case = self.case
        found: list[Fix] = []
        before = self.before or [case.score]
        for tried in self.tried.values():
            after = tried.by_seed[: len(before)]
            if len(after) < len(before):
                continue
            compared = Comparison(
                changes.together(tried.changes),
                case.metric,
                tuple(before),
                tuple(after),
                case.baseline,
                case.noise(before[0], after[0]),
                case.share,
                case.prepared().steps,
                case.setup.steps,
            )
            if compared.gain > 0:
                code = self._code(tried.changes)
                found.append(Fix(code, tried.changes, compared, tried.steps))

        alike = max((f.comparison.gain for f in found), default=0.0) - self._step

        def place(fix: Fix) -> tuple[bool, int, float, int, bool]:
            gain, count = fix.comparison.gain, len(fix.changes)
            best = gain >= alike
            first = count if best else 0
            return not best, first, -round(gain, 3), count, not fix.finding

        return sorted(found, key=place)

    def _code(self, made: Set) -> str:
        """Return the code of the first finding that proposed one of some changes."""
        keys = {c.after for c in made}
        for found in self.findings:
            if found.change is not None and keys & {
                c.after for c in found.change.single
            }:
                return found.code
        return ""


def _key(made: Iterable[Change]) -> Any:
    return tuple(sorted((c.before, c.after) for c in made))
