"""One network for all series: what it reads, simple methods, how both are joined, and intervals."""
