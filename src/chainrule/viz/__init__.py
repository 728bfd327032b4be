"""Drawing of learning curves, decision regions, and reports of training runs.

:mod:`.gallery` has the pictures that recipes draw, :mod:`.scenes` the environments
that agents act in.

Pictures need matplotlib (the extra ``plot``), which is loaded when something is drawn.
"""

from chainrule.viz import gallery, scenes, seen
from chainrule.viz.curve import Picture, save_curve, show_curve
from chainrule.viz.decision_regions import draw_decision_regions, save_decision_regions
from chainrule.viz.drawing import can_plot, legible
from chainrule.viz.report import write_experiment_report, write_report

__all__ = [
    "Picture",
    "can_plot",
    "draw_decision_regions",
    "gallery",
    "legible",
    "save_curve",
    "save_decision_regions",
    "scenes",
    "seen",
    "show_curve",
    "write_experiment_report",
    "write_report",
]
