"""One network for all series, simple methods, their join, and intervals."""
