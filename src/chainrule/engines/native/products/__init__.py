"""Matrix products and convolutions: tiles, packed operands, epilogues."""
