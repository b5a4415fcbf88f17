"""What experiments and benchmarks share: worker pool, trial store, result tables, reports, timing."""
