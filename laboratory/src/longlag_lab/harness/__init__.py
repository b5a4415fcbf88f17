"""What every experiment and benchmark shares: worker pool, trial store, result tables, reports and timing."""
