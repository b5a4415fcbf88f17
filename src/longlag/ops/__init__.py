"""The equations of one layer on tensors. Derivation and notation: README.md in this folder."""
