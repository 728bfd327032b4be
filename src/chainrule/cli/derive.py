"""``chainrule derive``: back-propagation written out."""

from __future__ import annotations

import click

from chainrule.cli import speaking
from chainrule.cli.common import cli, command, document_format, tell, written

EXAMPLES = """\b
Examples:
  chainrule derive 2-2sigmoid-1sigmoid
  chainrule derive 4-3tanh-2softmax --loss cross_entropy --lang zh-TW
  chainrule derive 2-2relu-1 --elements --format latex > derivation.tex
"""


@cli.command(
    epilog=EXAMPLES, short_help="Write out back-propagation through a network."
)
@click.argument("spec")
@speaking.option(
    "--loss",
    default="half_squared",
    show_default=True,
    help="half_squared, mse, half_mse, cross_entropy, binary_cross_entropy or hinge.",
)
@speaking.option("--batch", is_flag=True, help="For n samples instead of one.")
@speaking.option(
    "--elements", is_flag=True, help="Go on element by element, with paths."
)
@document_format()
@speaking.option("--latex", is_flag=True, help="The same as --format latex.")
@command
def derive(
    spec: str,
    loss: str,
    batch: bool,
    elements: bool,
    form: str,
    latex: bool,
    as_json: bool,
) -> int:
    """Write out back-propagation through any feed-forward network, step by step.

    SPEC is the sizes from the input on, with the activation behind each layer's size:
    2-3tanh-1sigmoid. Activations are sigmoid, tanh, relu, leakyrelu, gelu and softmax;
    no name is none.
    """
    from chainrule.book.derivation import derive as derived

    derivation = derived(spec, loss, batch=batch, elements=elements)
    text = "" if as_json else written(derivation, "latex" if latex else form)
    tell(derivation.to_json() if as_json else {}, as_json, text.rstrip("\n"))
    return 0
