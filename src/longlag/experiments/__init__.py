"""Frozen configurations of the papers' experiments, run and set beside the papers' values."""
