"""TensorBoard's own reader gives back what was logged."""

from __future__ import annotations

import copy
import pickle
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import chainrule as cr
from chainrule import errors
from chainrule.tracking import TensorBoard
from chainrule.training import LambdaCallback

from .conftest import EPOCHS, KILLS, STEPS, fit, killed, points

pytestmark = pytest.mark.parity
pytest.importorskip("tensorboard", reason="needs tensorboard: pip install it")


def read(folder: Path) -> Any:
    from tensorboard.backend.event_processing import event_accumulator

    reader = event_accumulator.EventAccumulator(str(folder), {"images": 0})
    return reader.Reload()


def scalars(reader: Any, tag: str) -> list[tuple[int, float]]:
    return [(event.step, event.value) for event in reader.Scalars(tag)]


@pytest.mark.usefixtures("single_steps")
def test_what_tensorboard_reads(tmp_path: Path) -> None:
    pictures = {"stripes": np.arange(12).reshape(3, 4) / 12}
    board = TensorBoard(
        tmp_path,
        run_name="mine",
        log_every_n_steps=5,
        histogram_freq=3,
        images=lambda trainer: pictures,
    )
    made = fit(board)
    reader = read(tmp_path / "mine")
    rows, steps = made.history.epochs, made.history.steps
    assert scalars(reader, "train_loss") == [
        (STEPS * row["epoch"], np.float32(row["train_loss"])) for row in rows
    ]
    every = [*range(5, STEPS * EPOCHS + 1, 5)]
    assert [step for step, __ in scalars(reader, "step/loss")] == every
    first = steps["loss"][:5].mean(dtype=np.float64)
    assert scalars(reader, "step/loss")[0][1] == np.float32(first)

    (weights,) = reader.Histograms("weights/0.weight")
    array = made.model[0].weight.numpy().astype(np.float64)
    histogram = weights.histogram_value
    assert (weights.step, histogram.num) == (STEPS * EPOCHS, array.size)
    assert (histogram.min, histogram.max) == (array.min(), array.max())
    assert histogram.sum_squares == (array**2).sum()
    counts = np.histogram(array, len(histogram.bucket))[0]
    assert histogram.bucket == counts.tolist()
    (probe,) = reader.Histograms("step/activation_mean/0")
    assert probe.histogram_value.num == STEPS

    (image,) = reader.Images("stripes")
    assert (image.width, image.height) == (4, 3)
    assert image.encoded_image_string.startswith(b"\x89PNG")


def test_the_configuration_is_under_hparams(tmp_path: Path) -> None:
    from tensorboard.plugins.hparams import metadata

    board = TensorBoard(tmp_path)
    fit(board, epochs=1)
    assert board.run_id is not None
    reader = read(tmp_path / board.run_id)
    tag = metadata.SESSION_START_INFO_TAG
    content = reader.SummaryMetadata(tag).plugin_data.content
    values = metadata.parse_session_start_info_plugin_data(content).hparams
    assert values["optimizer.name"].string_value == "Adam"
    assert values["optimizer.lr"].number_value == 1e-2
    assert len(values["data.crc32"].string_value) == 8


@pytest.mark.filterwarnings("ignore::DeprecationWarning")  # of the plugin's page
def test_the_graph_as_its_plugin_reads_it(tmp_path: Path) -> None:
    from google.protobuf import text_format
    from tensorboard import context
    from tensorboard.backend.event_processing import (
        data_provider,
        plugin_event_multiplexer,
    )
    from tensorboard.plugins import base_plugin
    from tensorboard.plugins.graph import graphs_plugin

    made = fit(TensorBoard(tmp_path, run_name="g"), epochs=1)
    graph = read(tmp_path / "g").Graph()
    names = [node.name for node in graph.node]
    assert len(names) == len({*names})
    inner = made.program.traced["train"].entry.graph
    assert len(names) == len(inner.nodes) + len(inner.inputs)
    assert {name.partition("/")[0] for name in names} == (
        {"inputs", "forward", "backward", "update"}
    )
    assert any(name.startswith("forward/0/dot") for name in names), names
    known = {*names}
    assert all(i.partition(":")[0] in known for n in graph.node for i in n.input)
    files = plugin_event_multiplexer.EventMultiplexer().AddRunsFromDirectory(
        str(tmp_path)
    )
    source = data_provider.MultiplexerDataProvider(files.Reload(), str(tmp_path))
    plugin = graphs_plugin.GraphsPlugin(base_plugin.TBContext(data_provider=source))
    runs = plugin.info_impl(context.RequestContext(), experiment="")
    assert runs["g"]["run_graph"]
    shown, __ = plugin.graph_impl(
        context.RequestContext(), "g", None, False, experiment=""
    )
    assert text_format.Parse(shown, type(graph)()) == graph


@pytest.mark.usefixtures("single_steps")
@pytest.mark.parametrize("kill", KILLS)
def test_a_killed_run_goes_on_in_its_folder(tmp_path: Path, kill: str) -> None:
    logs = tmp_path / "logs"
    killed(lambda: TensorBoard(logs, log_every_n_steps=5), tmp_path / "run", kill)
    (folder,) = logs.iterdir()
    assert len([*folder.iterdir()]) == 2
    reader = read(folder)
    whole = fit(TensorBoard(logs, run_name="whole", log_every_n_steps=5))
    for tag in ("step/loss", "train_loss"):
        assert scalars(reader, tag) == scalars(read(logs / "whole"), tag)
    steps = {s for tag in ("step/loss", "epoch") for s, __ in scalars(reader, tag)}
    assert sorted(steps) == points()
    assert whole.finished


def test_runs_of_one_name_and_names_that_lead_elsewhere(tmp_path: Path) -> None:
    for __ in range(2):
        fit(TensorBoard(tmp_path, run_name="a"), epochs=1)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a", "a-2"]
    with pytest.raises(errors.ArgumentError, match="leads outside"):
        TensorBoard(tmp_path, run_name="../b")
    board = TensorBoard(tmp_path / "in")
    board.load_state({"run_id": "../../stolen"})  # of a stranger's checkpoint
    with pytest.raises(errors.ArgumentError, match="leads outside"):
        board.begin(board.run_id, {}, 0)


def test_a_kill_behind_an_epoch_loses_no_histogram(tmp_path: Path) -> None:
    seen: list[int] = []
    board = TensorBoard(tmp_path, run_name="a", histogram_freq=1)
    names = "step/activation_mean/2", "weights/2.bias"

    def look(made: cr.Trainer) -> None:
        reader = read(tmp_path / "a")
        assert {*names} < {*reader.Tags()["histograms"]}
        seen.extend(event.step for event in reader.Histograms(names[0])[-1:])

    fit([board, LambdaCallback(on_epoch=look)])
    assert seen == [*range(STEPS, STEPS * EPOCHS + 1, STEPS)]


def test_runs_that_begin_at_once_have_folders_of_their_own(tmp_path: Path) -> None:
    boards = [TensorBoard(tmp_path, run_name="a/b") for __ in range(8)]
    gate = threading.Barrier(len(boards))

    def begin(board: TensorBoard) -> str:
        gate.wait()
        return board.begin(None, {}, 0)

    with ThreadPoolExecutor(len(boards)) as pool:
        assert len({*pool.map(begin, boards)}) == len(boards)
    for board in boards:
        board.finish(None, completed=True)


def test_a_tracker_that_has_tracked_can_be_copied(tmp_path: Path) -> None:
    board = TensorBoard(tmp_path)
    fit(board, epochs=1)
    for again in (copy.deepcopy(board), pickle.loads(pickle.dumps(board))):
        fit(again, epochs=1)
    assert len([*tmp_path.iterdir()]) == 3


def test_a_full_disk_is_a_warning(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.warns(errors.ChainruleWarning, match="TensorBoard could not go on"):
        assert fit(TensorBoard(tmp_path / "file"), epochs=1).finished
