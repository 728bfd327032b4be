"""Functions of functions: derivatives, and loops and branches (`control`)."""
