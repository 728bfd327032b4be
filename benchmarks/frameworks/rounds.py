"""Peers side by side: turn after turn, one at a time, in processes of their own.

A round gives each peer one turn, with a rest before it, since the threads of other
libraries go on spinning for a while. A peer may have several ways to do a workload
(variants, one thread or all); one that is far from its peer's fastest leaves after the
first rounds.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, suppress
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

import chainrule
from chainrule.engines import capabilities
from chainrule.engines.threads import available_cores
from chainrule.errors import ChainruleError
from chainrule.text import _, tr
from chainrule.text.languages import language
from chainrule.util import validation
from frameworks.peers import OURS, PEERS
from frameworks.workloads import ALL, GROUPS, WORKLOADS, Workload, save

REST = 0.1  # seconds before a turn
#: A way leaves whose best turn of the first rounds takes so much more than its peer's
#: fastest way does by the median: after one round, and after more.
FAR_AT_ONCE, FAR = 4.0, 1.15
#: How much what two found may differ, relative: losses, scores, shares that are right.
TOLERANCES = {"training": 1e-3, "inference": 1e-3, "process": 0.02}
#: The environment variables that say how many threads a process may have.
THREADS = "OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "NPROC"
#: Where a worker finds this package, and the Chainrule that runs here.
PATHS = {
    "PYTHONPATH": os.pathsep.join(
        [
            str(Path(__file__).resolve().parent.parent),
            str(Path(chainrule.__file__).resolve().parent.parent),
        ]
    )
}


class NotReadyError(ChainruleError):
    """A peer cannot do a workload."""


class Runner:
    """One way of one peer.

    Args:
        peer, variant, threads: the way; no threads: as many as it likes.
        folder: where the numbers of the workload are.
        name: of the workload.

    Attributes:
        seconds: of each turn.
        ready: what it said when it was ready: parameters, found, built (seconds).
    """

    def __init__(
        self, peer: str, variant: str, threads: int | None, folder: Path, name: str
    ) -> None:
        self.peer, self.variant, self.threads = peer, variant, threads
        self.seconds: list[float] = []
        self.ready: dict[str, Any] = {}
        self._log = folder / f"{peer}-{variant}-{threads}.log"
        self._command = [sys.executable, "-m", "frameworks.worker", str(folder)]
        self._command += [name, peer, variant, str(threads or 0)]
        self._process: subprocess.Popen[str] | None = None

    @property
    def title(self) -> str:
        """``PyTorch eager, 1 thread``."""
        title = f"{PEERS[self.peer].title} {self.variant}".strip()
        if self.threads is None:
            return title
        return f"{title}, {self.threads} thread{'s' * (self.threads > 1)}"

    def start(self) -> None:
        """Wait until it is ready."""
        number = str(self.threads or available_cores())
        with self._log.open("w") as log:
            self._process = subprocess.Popen(
                self._command,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=log,
                text=True,
                env=os.environ | PATHS | dict.fromkeys(THREADS, number),
            )
        self.ready = self._answer()

    def turn(self, number: int) -> None:
        """Take a turn."""
        assert self._process is not None
        assert self._process.stdin is not None
        with suppress(BrokenPipeError):  # it has ended: no answer comes
            self._process.stdin.write(f"{number}\n")
            self._process.stdin.flush()
        self.seconds.append(self._answer()["seconds"])

    def stop(self) -> None:
        """End its process."""
        if self._process is not None:
            self._process.kill()
            self._process.communicate()
            self._process = None

    def _answer(self) -> dict[str, Any]:
        assert self._process is not None
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        if line:
            return json.loads(line)
        raise NotReadyError(_last_words(self._log))


def _last_words(log: Path) -> str:
    said = log.read_text(errors="replace").strip().splitlines()
    return said[-1] if said else _("It ended without a word.")


def told(way: str) -> str:
    """The title of a way in the language in use."""
    name, found, threads = way.partition(", ")
    if not found:
        return name
    number = threads.split()[0]
    if number == "1":
        return tr("{way}, {n} thread", way=name, n=number)
    return tr("{way}, {n} threads", way=name, n=number)


class Command(Runner):
    """A way whose turn is a process, from start to end."""

    def __init__(
        self, peer: str, variant: str, threads: int | None, folder: Path, name: str
    ) -> None:
        super().__init__(peer, variant, threads, folder, name)
        if self.peer == OURS:
            # As where the extra "plot" is not installed: without a report.
            code = "import sys; sys.modules['matplotlib'] = None; "
            code += "from chainrule.cli import main; main()"
            self._command = [sys.executable, "-c", code, "train", "mnist", "--json"]
            if variant:
                self._command += ["--engine", variant]
            if self.threads and capabilities(variant or "native").threads:
                self._command += ["--threads", str(self.threads)]
            self._command += ["--out", str(folder)]

    def start(self) -> None:
        """It starts with its turn."""

    def turn(self, number: int) -> None:
        """Run it to its end."""
        if self.peer == OURS:
            self._command[-1] = str(self._log.parent / f"run-{number}")
        started = time.perf_counter()
        super().start()
        assert self._process is not None
        self._process.wait()
        self.seconds.append(time.perf_counter() - started)
        self.stop()
        if self.peer == OURS:
            self.ready["found"] = self.ready["test_accuracy"]


def chosen(names: Sequence[str]) -> list[str]:
    """The workloads of these names and groups; the table's without any."""
    known = [*WORKLOADS, *GROUPS, *ALL]
    for name in names:
        validation.choice(*dict.fromkeys(known))("workload", name)
    found = [GROUPS.get(name, [name]) for name in names or WORKLOADS]
    return list(dict.fromkeys(name for group in found for name in group))


def taking_part(names: Sequence[str] | None) -> tuple[list[str], dict[str, list[str]]]:
    """The peers that can, of these or of all; the others' titles and what they lack."""
    others = [name for name in PEERS if name != OURS]
    for name in names or ():
        validation.choice(*others)("peers", name)
    wanted = [name for name in others if names is None or name in names]
    missing = {PEERS[n].title: PEERS[n].missing for n in wanted if PEERS[n].missing}
    return [name for name in wanted if not PEERS[name].missing], missing


def measure(
    name: str,
    peers: Sequence[str],
    threads: int,
    rounds: int,
    say: Callable[[str], None] = lambda text: None,
    engine: str = "",
) -> dict[str, Any]:
    """One row: a workload at all peers that can do it.

    Args:
        name: of the workload.
        peers: those who take part beside Chainrule.
        threads: as many as anybody may use.
        rounds: turns of each.
        say: is told what happens.
        engine: Chainrule's; "": as it comes.

    Returns:
        see :func:`row`.
    """
    work = ALL[name]
    with ExitStack() as stack:
        made = tempfile.TemporaryDirectory(prefix="chainrule-bench-")
        folder = Path(stack.enter_context(made))
        save(folder, work, _weights(work), _digits)
        running: list[Runner] = []
        failed: dict[str, str] = {}

        def able(runner: Runner, act: Callable[[], object]) -> bool:
            """Whether it did so, and has found what ours has."""
            try:
                act()
                if runner.ready:
                    _same(work, runner.ready, (running or [runner])[0].ready)
            except NotReadyError as error:
                if runner.peer == OURS:
                    raise
                failed[runner.title] = error.what
                runner.stop()
                return False
            return True

        for runner in _runners(name, peers, threads, folder, engine):
            stack.callback(runner.stop)
            say(tr("{name}: {what}", name=name, what=told(runner.title)))
            if able(runner, runner.start):
                running.append(runner)
        everyone, rounds = list(running), min(rounds, work.most)
        for number in range(1, rounds + 1):
            say(tr("{name}: round {n} of {all}", name=name, n=number, all=rounds))
            for runner in list(running):
                time.sleep(REST)
                if not able(runner, partial(runner.turn, number)):
                    running.remove(runner)
                    everyone.remove(runner)
            for runner in _far(running, FAR_AT_ONCE if number == 1 else FAR):
                runner.stop()
                running.remove(runner)
        return row(name, everyone, failed)


def _runners(
    name: str, peers: Sequence[str], threads: int, folder: Path, engine: str
) -> Iterator[Runner]:
    """All ways of all peers, ours first: as a user has it who says no number."""
    work = ALL[name]
    kind = Command if work.kind == "process" else Runner
    whole = threads == available_cores()
    yield kind(OURS, engine, None if whole else threads, folder, name)
    for peer in peers:
        for variant in PEERS[peer].variants(work):
            for number in sorted({1, threads}, reverse=True):
                yield kind(peer, variant, number, folder, name)


def _weights(work: Workload) -> dict[str, Any]:
    import chainrule as cr
    from frameworks.peers.chainrule import build

    cr.manual_seed(0)
    return build(work.layers).state_dict()


def _digits() -> tuple[Any, Any]:
    """MNIST, the test set at the end."""
    import chainrule as cr

    parts = cr.data.mnist()
    x = np.concatenate([np.asarray(part.x.stored) for part in parts])
    return x, np.concatenate([part.y for part in parts])


def _same(work: Workload, theirs: dict[str, Any], ours: dict[str, Any]) -> None:
    """Refuse one who does another job than ours."""
    if theirs["parameters"] != ours["parameters"]:
        raise NotReadyError(
            _(
                "It has {parameters:,} parameters, ours {parameters2:,}.",
                parameters=theirs["parameters"],
                parameters2=ours["parameters"],
            )
        )
    away = abs(theirs["found"] / ours["found"] - 1)
    if not away < TOLERANCES[work.kind]:
        raise NotReadyError(
            _("What it finds differs by {away:.1e}: not the same job.", away=away)
        )


def _far(running: Sequence[Runner], limit: float) -> list[Runner]:
    """Those who will not be the fastest of their peer."""
    best: dict[str, float] = {}
    for runner in running:
        median = float(np.median(runner.seconds))
        best[runner.peer] = min(best.get(runner.peer, median), median)
    return [r for r in running if min(r.seconds) > limit * best[r.peer]]


# -- results ---------------------------------------------------------------------------


def row(name: str, runners: Sequence[Runner], failed: dict[str, str]) -> dict[str, Any]:
    """What was measured of one workload.

    Returns:
        workload, title, unit; ``ways``: each way's times; ``ratios``: of each peer, its
        fastest way's median over ours, with the 10th and 90th percentile of the rounds'
        ratios; ``fastest``: the peer whose ratio is least; ``bars``, which are those of
        the engine that a user has who names none; ``failed``: who could not do it, and
        why.
    """
    work, ours = ALL[name], runners[0]
    scale = 1.0 if work.kind == "process" else 1e6 / work.turn
    best: dict[str, Runner] = {}
    for runner in runners[1:]:
        held = best.setdefault(runner.peer, runner)
        if np.median(runner.seconds) < np.median(held.seconds):
            best[runner.peer] = runner
    ratios = {peer: _ratio(runner, ours) for peer, runner in best.items()}
    fastest = min(ratios, key=lambda peer: ratios[peer]["median"], default=None)
    with language("en"):  # the same result in any language
        title = work.title()
    units = {"training": "µs/step", "inference": "µs/call", "process": "s"}
    return {
        "workload": name,
        "title": title,
        "unit": units[work.kind],
        "group": work.group,
        "x": work.x,
        "ways": [_times(runner, scale) for runner in runners],
        "ratios": ratios,
        "fastest": fastest,
        "bars": [
            _bar(peer, least, ratios, fastest)
            for peer, least in work.bars
            if not ours.variant
        ],
        "failed": failed,
    }


def _times(runner: Runner, scale: float) -> dict[str, Any]:
    times, ready = np.array(runner.seconds) * scale, runner.ready
    kept = {}
    if "built" in ready:  # the first turn is part of getting ready
        kept["compiled"] = max(0.0, ready["built"] - float(np.median(runner.seconds)))
    return {
        "peer": runner.peer,
        "way": runner.title,
        "rounds": len(times),
        **_spread(times, float(np.median(times))),
        **kept,
        "found": runner.ready["found"],
    }


def _ratio(runner: Runner, ours: Runner) -> dict[str, Any]:
    theirs = np.array(runner.seconds)
    mine = np.array(ours.seconds)[: len(theirs)]
    median = float(np.median(theirs) / np.median(mine))
    return {"way": runner.title, **_spread(theirs / mine, median)}


def _spread(values: Any, median: float) -> dict[str, float]:
    low, high = np.percentile(values, [10, 90])
    return {"median": median, "p10": float(low), "p90": float(high)}


def _bar(
    peer: str, least: float, ratios: dict[str, Any], fastest: str | None
) -> dict[str, Any]:
    against = fastest if peer == "fastest" else peer
    ratio = ratios[against]["median"] if against in ratios else None
    reached = None if ratio is None else ratio >= least
    return {"against": peer, "least": least, "reached": reached}
