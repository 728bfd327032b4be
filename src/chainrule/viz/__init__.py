"""What draws: learning curves, decision regions, and the report of a run.

Pictures need matplotlib (the extra ``plot``), which is loaded when something is drawn.
"""

from chainrule.viz.curve import Picture, save_curve, show_curve
from chainrule.viz.decision_regions import save_decision_regions
from chainrule.viz.drawing import can_plot
from chainrule.viz.report import write_report

__all__ = [
    "Picture",
    "can_plot",
    "save_curve",
    "save_decision_regions",
    "show_curve",
    "write_report",
]
