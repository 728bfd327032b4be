"""The graph: values, nodes, programs, their text form and their verifier."""
