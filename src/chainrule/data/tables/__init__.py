"""Tables: types of columns are inferred, cells become arrays, the schema is stored.

``source`` yields the cells of a file or of a frame, some rows at a time; ``cells``
parses numbers and dates; ``profile`` collects statistics of a column over all rows;
``inference`` decides on its type, or asks; ``columns`` encodes cells as features;
``schema`` is what is stored; ``table_reader`` puts them together.
"""
