"""Function transforms: derivatives, and loops and branches (`control`)."""
