"""Generation of LLVM code from an execution schedule: entry points and loop bodies."""
