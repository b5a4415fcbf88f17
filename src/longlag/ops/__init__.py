"""One layer's equations. Derivation and notation: README.md in this folder."""
