"""What a function finds outside of itself.

:mod:`.surroundings` finds from its code what it may read there, :mod:`.places` tells
how to read it and how to put something else in its place, :mod:`.fingerprints` what is
compared of it, and :mod:`.snapshot` remembers what it was.
"""
