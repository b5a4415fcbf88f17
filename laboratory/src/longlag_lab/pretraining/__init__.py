"""Teaching the forecaster that comes with the package."""
