"""The computation graph: values, nodes, programs, text form and verifier."""
