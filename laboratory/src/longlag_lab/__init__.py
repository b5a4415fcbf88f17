"""The laboratory beside longlag: the papers' experiments, their competitors, and the benchmarks."""
