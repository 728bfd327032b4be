"""Code generation for matrix products and convolutions: tiles, packed operands."""
