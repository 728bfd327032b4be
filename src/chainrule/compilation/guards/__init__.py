"""The environment of a function: everything that it may read outside of itself.

:mod:`.surroundings` finds from its code what it may read there, :mod:`.places` reads
it and replaces it, :mod:`.fingerprints` makes values of it that can be compared, and
:mod:`.snapshot` keeps these and detects changes.
"""
