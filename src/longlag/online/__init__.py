"""Learning while reading: the 1997 rule in memory that does not grow with the sequence."""
