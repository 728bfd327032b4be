"""Code generation for elementary functions (exp, sin, …) as LLVM IR."""
