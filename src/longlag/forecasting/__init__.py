"""One network for all series: units, what it reads, simple methods, how both are joined, and intervals."""
