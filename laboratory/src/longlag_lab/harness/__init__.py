"""What experiments share: one run in a folder, curves."""
