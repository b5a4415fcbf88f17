"""The experiments of the batch paper (2013): its figures and claims, and lags longer than its own."""
