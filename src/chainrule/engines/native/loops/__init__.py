"""Loops over elements: maps, reductions, copies, windows, control flow."""
