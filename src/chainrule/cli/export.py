"""``chainrule export``: a run's network as an ONNX file or a program file."""

from __future__ import annotations

from pathlib import Path

import click

from chainrule.cli import speaking
from chainrule.cli.common import cli, command, tell

EXAMPLES = """\b
Examples:
  chainrule export runs/houses
  chainrule export runs/pets --out pets.onnx --opset 17
  chainrule export runs/pets --out pets.safetensors
"""


@cli.command(epilog=EXAMPLES, short_help="Write a run's network as a file.")
@click.argument("run", type=click.Path(path_type=Path))
@speaking.option(
    "--out",
    type=click.Path(path_type=Path),
    help="The file to write: NAME.onnx, or NAME.safetensors for a program file.  "
    "[default: model.onnx beside the checkpoint]",
)
@speaking.option(
    "--opset",
    type=int,
    default=23,
    show_default=True,
    help="The version of ONNX's operators, 13 to 25.",
)
@command
def export(run: Path, out: Path | None, opset: int, as_json: bool) -> int:
    """Write a trained network as a file: for ONNX Runtime and others, or a program.

    RUN is the directory of a run, or a checkpoint. The file takes data as they are: a
    column of a table each, with gaps and texts, or images as bytes; it gives values,
    or probabilities and classes. Any number of rows goes. cr.load_program and
    chainrule serve open a program file.
    """
    from chainrule.runs import exporting

    if out is not None and out.suffix == ".safetensors":
        saved = exporting.save(run, out)
        kinds = {"inputs": dict(saved.inputs), "outputs": dict(saved.outputs)}
        tell({"files": [saved.path], **kinds}, as_json, str(saved))
        return 0
    written = exporting.export(run, out, opset)
    report = {
        "files": [str(path) for path in written.files],
        "opset": written.opset,
        "inputs": dict(written.inputs),
        "outputs": dict(written.outputs),
        "operators": dict(written.operators),
    }
    tell(report, as_json, str(written))
    return 0
