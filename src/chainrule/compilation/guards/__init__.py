"""The environment of a function: all variables that it may read from outside.

:mod:`.surroundings` finds from its code what it may read there, :mod:`.places` reads
it and replaces it, :mod:`.fingerprints` makes values of it that can be compared, and
:mod:`.snapshot` keeps these and detects changes.
"""
