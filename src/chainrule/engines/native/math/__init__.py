"""Elementary functions on scalars and vectors, as LLVM IR."""
