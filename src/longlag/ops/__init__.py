"""The equations of one layer, as pure functions over tensors. Derivation and notation: README.md in this folder."""
