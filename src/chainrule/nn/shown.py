"""The display of a module: its ``repr``, its view in a notebook, its picture."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

from chainrule.nn import construction

if TYPE_CHECKING:
    from chainrule.diagrams.diagram import Diagram


class Shown:
    """Base class of modules: what they show of themselves."""

    #: Whether pictures open a layer of the package that contains no others.
    _opens: bool = False

    def extra_repr(self) -> str:
        """Return the module's arguments that its ``repr`` shows in brackets."""
        return construction.shown(self)

    def __repr__(self: Any) -> str:
        inner = [
            f"  ({n}): {m!r}".replace("\n", "\n  ") for n, m in self.named_children()
        ]
        extra = self.extra_repr()
        if not inner:
            return f"{type(self).__name__}({extra})"
        lines = [f"  {extra}"] if extra else []
        return "\n".join([f"{type(self).__name__}(", *lines, *inner, ")"])

    def _repr_html_(self) -> str:
        from chainrule.nn.view import module_view  # which notebooks alone need

        return module_view(self)

    def picture(
        self, data: Any = None, *, depth: int | None = None, time: bool = False
    ) -> Diagram:
        """Draw the network from the graph of its prediction: layers, arrows, shapes.

        A layer is a box, and so is an operation between layers; modules with others
        inside are frames. Of a loop over a sequence one step is drawn, and of three or
        more alike blocks in a row one. Arrows have the shape of one sample's values.
        Small dense networks are drawn unit by unit with their weights.

        Args:
            data: the shape of one sample, such as ``(784,)`` or ``784``; or rows of
                samples (an array, a tensor, a ``Dataset``): then boxes show the
                numbers of the first one. Of several inputs a dictionary of these by
                name. None: a network that begins with a linear layer knows its sizes.
            depth: how deep modules are opened: 0 shows the modules of the network,
                each as one box; None opens all of them that can be read.
            time: whether each layer's share of the time of a prediction is measured,
                by the native engine on these rows (32 rows of zeros for a shape).

        Returns:
            a :class:`~chainrule.diagrams.Diagram`, which a notebook shows, with
            ``to_svg()``, ``to_mermaid()`` and ``save("network.svg")``.

        Raises:
            ArgumentError: neither a shape nor rows.
            ShapeError: rows that do not fit the model, named by its first layer.

        >>> from chainrule import nn
        >>> block = nn.Sequential(nn.Linear(4, 4), nn.ReLU())
        >>> print(nn.Sequential(block, nn.Linear(4, 2)).picture((4,)))
        Sequential
        x → 0.0 · Linear: 4
        0.0 · Linear → 0.1 · ReLU: 4
        0.1 · ReLU → 1 · Linear: 4
        1 · Linear → ŷ: 2
        """
        # By name: what draws a module knows the class, which this file comes before.
        network = importlib.import_module(f"{__package__}.picture.network")
        return network.picture(self, data, depth=depth, time=time)

    def _is_one_step(self: Any) -> bool:
        """Return whether a picture has one box for the module: a layer of ours."""
        own = type(self).__module__.partition(".")[0] == __name__.partition(".")[0]
        return own and not self._opens and not any(self.named_children())
