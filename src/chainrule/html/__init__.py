"""HTML for notebooks and reports: arrays as tables of colours."""
