"""Teaching the forecaster that comes with the package: synthetic series in, weights and their manifest out."""
