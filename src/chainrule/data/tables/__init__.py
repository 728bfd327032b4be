"""Readers of tables (CSV, data frames): inferred column types, cells as arrays.

``source`` yields the cells of a file or of a frame, some rows at a time; ``cells``
parses numbers and dates; ``profile`` collects statistics of a column over all rows;
``inference`` decides on its type, or asks; ``columns`` encodes cells as features;
``schema`` is what is stored; ``table_reader`` puts them together.
"""
