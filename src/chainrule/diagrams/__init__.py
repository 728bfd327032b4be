"""Diagrams of graphs and networks: what is drawn, its layout, SVG and Mermaid."""

from chainrule.diagrams.diagram import Arrow, Box, Diagram, Frame

__all__ = ["Arrow", "Box", "Diagram", "Frame"]
