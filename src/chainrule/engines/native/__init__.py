"""The native engine: programs as machine code, generated with llvmlite."""
