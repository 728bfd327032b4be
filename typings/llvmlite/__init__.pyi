# The part of llvmlite that chainrule.engines.native uses; llvmlite ships no types.

__version__: str
