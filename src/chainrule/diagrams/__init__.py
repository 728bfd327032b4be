"""Diagrams of graphs and networks: what is drawn, its layout, SVG and Mermaid."""

from chainrule.diagrams.diagram import Diagram
from chainrule.diagrams.parts import Arrow, Box, Frame

__all__ = ["Arrow", "Box", "Diagram", "Frame"]
