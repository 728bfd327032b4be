"""Mathematical expressions: construction, text, LaTeX, MathML and numerical values.

Primitives, composites and update rules declare their formulas with them, and
explanations read formulas off graphs. Nothing here knows of graphs.
"""
