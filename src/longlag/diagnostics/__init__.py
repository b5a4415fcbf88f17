"""Seeing what a network did: figures here; numbers about gates, states and error paths as they come."""
