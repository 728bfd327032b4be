"""``cr.compile``: functions traced into graphs and compiled for an engine.

A function is traced once for each kind of call, and the compiled program is run.

`api` decides which program a call runs, `tracing` makes one, `guards` say whether it
is still right, `program` runs it on an engine. Passes, schedules and machine code are
not here but in `passes` and `engines`."""
