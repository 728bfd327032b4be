"""Predictions one at a time, and over HTTP, beside ONNX Runtime.

    python benchmarks/serving.py                  # both
    python benchmarks/serving.py latency          # one row, array to array
    python benchmarks/serving.py load             # 10,000 requests, 16 at a time

``latency``  a program that ``cr.load_program`` opened, called with an array of one
             row, against ONNX Runtime's session of the same network: ``run``, or an
             ``IOBinding`` of input and output, whichever is faster here. One thread
             each, in turns; the ratio is that of the medians, with the quartiles of
             the ratios of turns.
``load``     ``chainrule serve`` of a program file that is replaced all the time,
             against a FastAPI app around ONNX Runtime whose file stays as it is. The
             same network, requests and answers, one process each, by uvicorn; requests
             are sent by this process, in turns. Each answer is compared with what the
             network gives.

The textbook's network (784-128-64-10) and LeNet. Addresses are this machine's own.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import itertools
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np

TURNS, CALLS = 1001, 10
REQUESTS, AT_A_TIME, ROUNDS = 10_000, 16, 25
#: Seconds between two replacements of the file.
REPLACED = 0.5


def networks() -> Iterator[tuple[str, Any, tuple[int, ...]]]:
    """The networks with the shape of a sample."""
    import chainrule as cr
    from chainrule.recipes import lenet, mnist

    cr.manual_seed(0)
    yield "784-128-64-10", mnist.network(0).eval(), (784,)
    yield "LeNet", lenet.network(0).eval(), (784,)


def session(path: Path) -> Any:
    """ONNX Runtime with one thread."""
    import onnxruntime as ort

    options = ort.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    return ort.InferenceSession(path, options, providers=["CPUExecutionProvider"])


# -- latency ---------------------------------------------------------------------------


def latency(turns: int = TURNS) -> dict[str, dict[str, Any]]:
    """µs of a prediction on each side."""
    import chainrule as cr

    found: dict[str, dict[str, Any]] = {}
    with tempfile.TemporaryDirectory() as folder:
        for name, model, shape in networks():
            ours, theirs = Path(folder, "a.safetensors"), Path(folder, "a.onnx")
            x = np.random.default_rng(0).random((1, *shape), np.float32)
            cr.compile(model, shapes={"x": ("N", *shape)}).save(ours, x)
            cr.export_onnx(model, theirs, x, dynamic="N")
            found[name] = _compared(cr.load_program(ours), session(theirs), x, turns)
    return found


def _compared(program: Any, peer: Any, x: np.ndarray, turns: int) -> dict[str, Any]:
    (given,), (gives,) = peer.get_inputs(), peer.get_outputs()
    binding = peer.io_binding()
    binding.bind_output(gives.name, "cpu")

    def bound(x: np.ndarray) -> Any:
        binding.bind_cpu_input(given.name, x)
        peer.run_with_iobinding(binding)
        return binding.copy_outputs_to_cpu()[0]

    ways: dict[str, Callable[[np.ndarray], Any]] = {
        "ours": program,
        "run": lambda x: peer.run(None, {given.name: x})[0],
        "IOBinding": bound,
    }
    wanted = ways["run"](x)
    for way in ways.values():
        np.testing.assert_allclose(way(x), wanted, rtol=1e-4, atol=1e-5)
    times: dict[str, list[float]] = {name: [] for name in ways}
    for __ in range(turns):
        for name, way in ways.items():
            started = time.perf_counter()
            for __ in range(CALLS):
                way(x)
            times[name].append((time.perf_counter() - started) / CALLS * 1e6)
    medians = {name: statistics.median(t) for name, t in times.items()}
    best = min("run", "IOBinding", key=medians.__getitem__)
    ratios = [a / b for a, b in zip(times["ours"], times[best])]
    low, __, high = statistics.quantiles(ratios, n=4)
    return {
        **{f"{name} µs": round(t, 1) for name, t in medians.items()},
        "best": best,
        "ratio": round(medians["ours"] / medians[best], 3),
        "quartiles": [round(low, 3), round(high, 3)],
        "of shortest": round(min(times["ours"]) / min(times[best]), 3),
    }


# -- load ------------------------------------------------------------------------------


def peer(path: Path) -> None:
    """Serve an ONNX file by FastAPI, as its documentation does it."""
    import socket

    import uvicorn
    from fastapi import FastAPI
    from pydantic import BaseModel

    class Row(BaseModel):
        x: list[float]

    class Scores(BaseModel):
        output: list[float]

    run, app = session(path).run, FastAPI()

    async def predict(row: Any) -> Any:
        x = np.asarray([row.x], np.float32)
        return Scores(output=run(None, {"x": x})[0][0].tolist())

    # The names of local classes are no annotations that FastAPI could look up.
    predict.__annotations__.update({"row": Row, "return": Scores})
    app.post("/predict")(predict)
    with socket.create_server(("127.0.0.1", 0)) as listener:
        print(json.dumps({"url": f"http://127.0.0.1:{listener.getsockname()[1]}"}))
        sys.stdout.flush()
        config = uvicorn.Config(app, log_level="warning", access_log=False)
        uvicorn.Server(config).run(sockets=[listener])


@contextlib.contextmanager
def started(*command: Any) -> Iterator[int]:
    """A server of its own process; its port."""
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    with subprocess.Popen(
        [sys.executable, *map(str, command)],
        stdout=subprocess.PIPE,
        text=True,
        env=environment,
    ) as server:
        try:
            assert server.stdout is not None
            url = json.loads(server.stdout.readline())["url"]
            yield int(url.rpartition(":")[2])
        finally:
            server.terminate()


async def sent(
    port: int, bodies: list[bytes], check: Callable[[int, Any], bool]
) -> tuple[list[float], int]:
    """Seconds of each request, ``AT_A_TIME`` on their way; and how many were wrong."""
    times, waiting, wrong = list[float](), iter(range(len(bodies))), [0]

    async def work() -> None:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        for i in waiting:
            head = (
                "POST /predict HTTP/1.1\r\nHost: a\r\n"
                "Content-Type: application/json\r\n"
                f"Content-Length: {len(bodies[i])}\r\n\r\n"
            )
            began = time.perf_counter()
            writer.write(head.encode() + bodies[i])
            header = await reader.readuntil(b"\r\n\r\n")
            lengths = [
                int(line.partition(b":")[2])
                for line in header.lower().split(b"\r\n")
                if line.startswith(b"content-length")
            ]
            content = await reader.readexactly(lengths[0])
            times.append(time.perf_counter() - began)
            right = header.startswith(b"HTTP/1.1 200") and check(i, json.loads(content))
            wrong[0] += not right
        writer.close()

    await asyncio.gather(*(work() for __ in range(AT_A_TIME)))
    return times, wrong[0]


def load(requests: int = REQUESTS, rounds: int = ROUNDS) -> dict[str, Any]:
    """Milliseconds of requests on each side."""
    import io

    import chainrule as cr

    name, model, shape = next(networks())
    draw = np.random.default_rng(0)
    x = np.round(draw.random((200, *shape)), 3).astype(np.float32)
    bodies = [
        json.dumps({"x": row}).encode() for row in x.astype(float).round(3).tolist()
    ]
    files, right = list[bytes](), list[np.ndarray]()
    for scale in (1.0, 2.0):
        with cr.no_grad():
            for p in model.parameters():
                p.copy_(p * scale)
        file = io.BytesIO()
        program = cr.compile(model, shapes={"x": ("N", *shape)})
        program.save(file, x[:1])
        files.append(file.getvalue())
        right.append(model(cr.tensor(x)).numpy())
        if scale == 1.0:
            onnx = Path(tempfile.mkdtemp(), "model.onnx")
            cr.export_onnx(model, onnx, x[:1], dynamic="N")
    place = onnx.with_name("model.safetensors")
    place.write_bytes(files[0])
    versions = [0, 0]

    def of(which: list[int]) -> Callable[[int, Any], bool]:
        def check(i: int, answer: Any) -> bool:
            got = np.asarray(answer["output"])
            for v in which:
                if np.allclose(got, right[v][i % len(x)], rtol=1e-3, atol=1e-4):
                    versions[v] += which == [0, 1]
                    return True
            return False

        return check

    order = itertools.cycle(files[::-1])

    async def replacing() -> None:
        while True:
            beside = place.with_suffix(".new")
            beside.write_bytes(next(order))
            beside.replace(place)
            await asyncio.sleep(REPLACED)

    async def turn(port: int, ours: bool) -> tuple[list[float], int]:
        many = [bodies[i % len(x)] for i in range(requests // rounds)]
        task = asyncio.create_task(replacing()) if ours else None
        try:
            return await sent(port, many, of([0, 1] if ours else [0]))
        finally:
            if task is not None:
                task.cancel()

    times: dict[str, list[list[float]]] = {"ours": [], "peer": []}
    wrong = {"ours": 0, "peer": 0}
    command = ["-m", "chainrule", "serve", place, "--port", "0", "--json"]
    with (
        started(*command) as ours,
        started(__file__, "peer", "--model", onnx) as theirs,
    ):
        ports = {"ours": ours, "peer": theirs}
        for port in ports.values():
            asyncio.run(sent(port, bodies, lambda i, answer: True))
        for __ in range(rounds):
            for side, port in ports.items():
                some, lost = asyncio.run(turn(port, side == "ours"))
                times[side].append(some)
                wrong[side] += lost
    return {
        "network": name,
        **{side: _percentiles(rows) for side, rows in times.items()},
        "wrong": wrong,
        "answers of each file": versions,
        "ratio p50": _ratio(times, 50),
        "ratio p99": _ratio(times, 99),
    }


def _percentiles(rounds: list[list[float]]) -> dict[str, float]:
    everything = [t * 1e3 for row in rounds for t in row]
    p50, p99 = np.percentile(everything, [50, 99])
    rate = len(everything) * AT_A_TIME / sum(everything) * 1e3
    found = {"p50 ms": p50, "p99 ms": p99, "requests/s": rate}
    return {"requests": len(everything)} | {k: round(v, 2) for k, v in found.items()}


def _ratio(times: dict[str, list[list[float]]], q: int) -> dict[str, Any]:
    """The ratio of a percentile over all requests, and the quartiles over rounds.

    ``within 1.2``: of how many rounds the ratio is not above.
    """
    ours, theirs = ([np.percentile(r, q) for r in times[k]] for k in ("ours", "peer"))
    each = [a / b for a, b in zip(ours, theirs)]
    whole = [np.percentile(np.concatenate(times[k]), q) for k in ("ours", "peer")]
    spread = np.percentile(each, [25, 75]).round(3).tolist()
    return {
        "all": round(float(whole[0] / whole[1]), 3),
        "quartiles": spread,
        "within 1.2": f"{sum(r <= 1.2 for r in each)} of {len(each)}",
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("names", nargs="*", help="latency, load; both by default")
    parser.add_argument("--turns", type=int, default=TURNS)
    parser.add_argument("--requests", type=int, default=REQUESTS)
    parser.add_argument("--rounds", type=int, default=ROUNDS)
    parser.add_argument("--model", type=Path, help=argparse.SUPPRESS)
    parser.add_argument("--json", action="store_true", help="as it is")
    args = parser.parse_args()
    if args.names == ["peer"]:
        peer(args.model)
        return
    if unknown := {*args.names} - {"latency", "load"}:
        parser.error(f"no {sorted(unknown)}; there are latency, load")
    made: dict[str, Any] = {}
    if "latency" in args.names or not args.names:
        made["latency"] = latency(args.turns)
    if "load" in args.names or not args.names:
        made["load"] = load(args.requests, args.rounds)
    print(json.dumps(made, indent=None if args.json else 1, ensure_ascii=False))


if __name__ == "__main__":
    main()
