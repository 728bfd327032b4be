"""Generated LLVM loops over arrays: maps, reductions, copies, windows, control flow."""
