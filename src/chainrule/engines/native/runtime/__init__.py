"""Machine code in this process: compiled, kept on disk, run and measured."""
