"""HTML of arrays for notebooks and reports: tables, heat maps, histograms."""
