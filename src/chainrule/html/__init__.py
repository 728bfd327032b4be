"""HTML of arrays for notebooks and reports."""
