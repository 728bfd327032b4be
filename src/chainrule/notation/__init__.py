"""Mathematical expressions: what they are, how they are written, what they come to.

Primitives, regions and update rules declare their formulas with them, and explanations
read formulas off graphs. Nothing here knows of graphs.
"""
