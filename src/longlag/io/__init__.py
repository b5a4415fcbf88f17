"""Durable files, locks, environments. A kill leaves them whole."""
