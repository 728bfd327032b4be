"""From a schedule to LLVM IR: entry points, bodies, the table of lowerings."""
