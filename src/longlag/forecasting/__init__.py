"""One network for all series: their units, what it reads, simple methods, how both are joined, intervals."""
