"""Diagrams of graphs and networks: what is drawn, its layout, SVG and Mermaid."""
