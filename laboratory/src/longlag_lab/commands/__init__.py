"""The commands that the laboratory adds to ``longlag``: reproduce and bench."""
