"""The native engine at run time: machine code compiled, cached, run and profiled."""
