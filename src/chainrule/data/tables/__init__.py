"""Tables: recognition of column types, conversion to arrays, and stored formats.

``source`` gives the cells of a file or of a frame, some rows at a time; ``cells`` turns
texts into numbers and dates; ``profile`` looks at all rows of a column; ``study`` says
what each column is, and what it cannot know; ``columns`` turns cells into features;
``reader`` puts them together.
"""
