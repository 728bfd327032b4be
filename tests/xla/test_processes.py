"""Several processes as one run: equal losses, one that is killed, what differs."""

from __future__ import annotations

import time
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from chainrule.engines.xla.processes import of_a_cluster
from tests.xla.starting import command, losses_alone, run, told


def said_by(number: int, launched: Any) -> str:
    """Return what a process has said on standard error."""
    lines = launched.stderr.splitlines()
    return "\n".join(line for line in lines if line.startswith(f"[{number}]"))


def test_what_schedulers_say() -> None:
    slurm = {
        "SLURM_JOB_ID": "1",
        "SLURM_STEP_NODELIST": "n[1-2]",
        "SLURM_STEP_NUM_TASKS": "2",
        "SLURM_LOCALID": "0",
    }
    assert of_a_cluster(slurm)
    assert not of_a_cluster({**slurm, "SLURM_STEP_NUM_TASKS": "1"})
    kubernetes = {"KUBERNETES_SERVICE_HOST": "10.0.0.1", "JOB_COMPLETION_INDEX": "3"}
    assert of_a_cluster(kubernetes)
    assert not of_a_cluster({"KUBERNETES_SERVICE_HOST": "10.0.0.1"})
    assert not of_a_cluster({"OMPI_COMM_WORLD_SIZE": "4"})
    assert not of_a_cluster({})


@pytest.mark.slow
@pytest.mark.parametrize("processes", [2, 4])
@pytest.mark.parametrize(("dtype", "within"), [("float64", 1e-6), ("float32", 1e-4)])
def test_losses_of_a_hundred_steps(dtype: str, within: float, processes: int) -> None:
    one = losses_alone(dtype)
    more = told(run("losses.py", dtype, processes=processes))
    for name, losses in one.items():
        assert len(losses) == 100
        np.testing.assert_allclose(more[name], losses, rtol=within, err_msg=name)


@pytest.fixture(scope="module")
def rows_alone(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """What one process computes on data of each kind."""
    return told(run("rows.py", str(tmp_path_factory.mktemp("rows"))))


@pytest.mark.slow
@pytest.mark.parametrize("processes", [2, 4])
def test_each_process_reads_its_own_rows(
    processes: int, rows_alone: dict[str, Any], tmp_path: Path
) -> None:
    """The batches are those of one process, with a last one that does not divide."""
    made = run("rows.py", str(tmp_path), processes=processes)
    more = told(made)
    for kind, one in rows_alone.items():
        got = more[kind]
        np.testing.assert_allclose(got["losses"], one["losses"], rtol=1e-6)
        if "evaluated" in one:
            assert got["evaluated"] == pytest.approx(one["evaluated"], rel=1e-6)
    assert more["batches"]["read"] == rows_alone["batches"]["read"] / processes
    # Of 13 batches of an epoch the last one does not divide, and all read it. The first
    # item is read for its type, and its first sample to see whether it draws.
    own, last = 96 // processes, 5
    first = {"loader": 8, "batched": 6, "words": 8, "sequence": 1}
    first |= {"epochs": 1, "nested": 8}
    for kind, item in first.items():
        assert rows_alone[kind]["read"] == 2 * 101 + item
        assert more[kind]["read"] == 2 * (own + last) + item + 1, kind
    assert more["turned"]["read"] == 2 * 96 // processes + 8 + 1
    assert more["drawn"]["read"] == rows_alone["drawn"]["read"] + 1
    assert more["collated"]["read"] == rows_alone["collated"]["read"]
    said = " ".join(said_by(0, made).split())
    for why in ("draws random numbers", "cannot be asked for by their index"):
        assert f"Each of {processes} processes reads all rows" in said
        assert why in said


@pytest.mark.slow
def test_a_loader_goes_on_with_fewer_processes(tmp_path: Path) -> None:
    """In the order that the loader drew, from a process that reads all samples too."""
    program = partial(run, "training.py", processes=2)
    whole = told(run("training.py", str(tmp_path / "whole"), "xla", "4", "--loader"))
    place = str(tmp_path / "run")
    killed = program(place, "xla", "4", "0", "--loader")
    assert "Process 0 was ended by the signal 9" in killed.stderr
    assert (tmp_path / "run" / "last.ckpt").exists()
    resumed = told(run("training.py", place, "xla", "3", "--loader"))
    assert resumed["epoch"] == 3
    more = told(program(place, "xla", "4", "--loader"))
    assert (more["epoch"], more["updates"]) == (4, whole["updates"])
    np.testing.assert_allclose(more["losses"], whole["losses"], rtol=1e-6)


@pytest.mark.slow
def test_a_run_goes_on_with_fewer_processes(tmp_path: Path) -> None:
    """One of four is killed; the others say so; two go on from the checkpoint."""
    whole = told(run("training.py", str(tmp_path / "whole"), "xla", "5"))
    place = str(tmp_path / "run")
    begun = time.monotonic()
    killed = run("training.py", place, "xla", "5", "3", processes=4)
    assert time.monotonic() - begun < 600
    assert killed.returncode != 0
    assert "Process 3 was ended by the signal 9" in killed.stderr
    for number in range(3):
        assert "Another process of this run has ended" in said_by(number, killed)
    resumed = told(run("training.py", place, "xla", "5", processes=2))
    again = run("training.py", place, "xla", "5", processes=2)
    assert resumed["epoch"] == whole["epoch"] == 5
    assert resumed["updates"] == whole["updates"]
    np.testing.assert_allclose(resumed["losses"], whole["losses"], rtol=1e-6)
    assert told(again) == resumed


@pytest.mark.slow
def test_a_run_moves_between_engines_and_processes(tmp_path: Path) -> None:
    """Two epochs native, two on two processes, one native: one run."""
    place, whole = str(tmp_path / "run"), str(tmp_path / "whole")
    run("training.py", place, "native", "2")
    run("training.py", place, "xla", "4", processes=2)
    moved = told(run("training.py", place, "native", "5"))
    alone = told(run("training.py", whole, "native", "5"))
    assert (moved["epoch"], moved["updates"]) == (5, alone["updates"])
    np.testing.assert_allclose(moved["losses"], alone["losses"], rtol=1e-6)


@pytest.mark.slow
def test_a_run_that_was_killed_goes_on_bit_for_bit(tmp_path: Path) -> None:
    """On as many processes as before, of which the first was killed."""
    whole = told(run("training.py", str(tmp_path / "whole"), "xla", "4", processes=2))
    place = str(tmp_path / "run")
    killed = run("training.py", place, "xla", "4", "0", processes=2)
    assert "Process 0 was ended by the signal 9" in killed.stderr
    assert told(run("training.py", place, "xla", "4", processes=2)) == whole


@pytest.mark.slow
def test_the_same_processes_compute_the_same_bits(tmp_path: Path) -> None:
    first, second = (
        told(run("training.py", str(tmp_path / name), "xla", "2", processes=2))
        for name in "ab"
    )
    assert first == second


@pytest.mark.parametrize(
    ("what", "said"),
    [
        ("weights", "differ in the value of '0.bias'"),
        ("data", "differ in the training data"),
        ("model", "differ in the entry point"),
        ("inputs", "differ in the input 'x'"),
        ("samples", "differ in the first sample of 'loader'"),
        ("order", "differ in block 0 of the stream"),
    ],
)
def test_processes_that_differ_are_refused(what: str, said: str) -> None:
    refused = run("differing.py", what, processes=2)
    assert refused.returncode != 0
    for number in range(2):
        assert said in said_by(number, refused)


def test_a_sample_that_one_process_cannot_read() -> None:
    """That process says so, and the other does not wait for it."""
    failed = run("differing.py", "failing", processes=2)
    assert failed.returncode != 0
    assert "OSError: the disk is gone" in said_by(1, failed)
    assert "process 1: the end of its program" in said_by(0, failed)


@pytest.mark.parametrize(
    ("number", "where"),
    [
        (0, "elsewhere"),
        pytest.param(0, "exchange", marks=pytest.mark.slow),
        pytest.param(2, "elsewhere", marks=pytest.mark.slow),
        pytest.param(2, "exchange", marks=pytest.mark.slow),
    ],
)
def test_each_of_the_others_says_that_one_has_died(number: int, where: str) -> None:
    """The first too, which JAX's own machinery hangs on; and where nothing is asked."""
    died = run("dying.py", str(number), where, processes=3)
    assert died.returncode == 128 + 9
    assert f"Process {number} was ended by the signal 9" in died.stderr
    for other in {0, 1, 2} - {number}:
        assert "Another process of this run has ended" in said_by(other, died)
        assert "go on from the last checkpoint" in said_by(other, died)


@pytest.mark.slow
def test_a_process_that_fails_in_a_step_of_the_others() -> None:
    """They wait for it in the step; it does not wait for them."""
    failed = run("dying.py", "1", "step", processes=3)
    assert "MemoryError" in said_by(1, failed)
    for other in (0, 2):
        assert "Another process of this run has ended" in said_by(other, failed)


def test_divided_weights_that_one_process_reads_are_refused(tmp_path: Path) -> None:
    """They do not wait for each other."""
    refused = run("reading.py", "one", str(tmp_path), processes=2)
    for number in range(2):
        said = said_by(number, refused)
        assert "different things at the same time" in said
        assert "process 0: reading float32[4, 8], which is divided" in said


@pytest.mark.slow
def test_divided_weights_that_one_process_reads_as_the_other_ends(
    tmp_path: Path,
) -> None:
    refused = run("reading.py", "ends", str(tmp_path), processes=2)
    assert refused.returncode == 1
    assert "process 1: the end of its program" in said_by(0, refused)


@pytest.mark.slow
def test_divided_weights_that_all_processes_read(tmp_path: Path) -> None:
    read = told(run("reading.py", "all", str(tmp_path), processes=2))
    assert read["numpy"] == read["state_dict"] == read["loaded"]


RUN_FILE = """
[data]
source = "moons"
[model]
layers = [{ class = "Linear", out_features = 8 }, "ReLU", "Linear"]
[training]
epochs = 2
engine = "xla"
"""


@pytest.mark.slow
def test_a_run_file_in_two_processes(tmp_path: Path) -> None:
    """One directory, one result, in the first process's words."""
    file, out = tmp_path / "moons.toml", tmp_path / "run"
    file.write_text(RUN_FILE)
    made = command("train", str(file), "--out", str(out), processes=2)
    assert made.returncode == 0, made.stderr
    assert (out / "last.ckpt").exists()
    assert (out / "metrics.json").exists()
    shown = [line for line in made.stdout.splitlines() if "Gloo" not in line]
    assert all(line.startswith("[0]") for line in shown)
    assert "moons" in made.stdout
    again = command("train", str(file), "--out", str(out), processes=2)
    assert again.returncode == 2
    assert "already holds a run" in again.stderr


def test_what_cannot_be_launched() -> None:
    failed = command("train", "no-such.toml", processes=2)
    assert failed.returncode == 2
    for number in range(2):
        assert f"[{number}] Error: There is no TOML file" in failed.stderr
