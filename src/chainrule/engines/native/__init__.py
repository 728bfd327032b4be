"""The native engine: a program as machine code, emitted through llvmlite."""
