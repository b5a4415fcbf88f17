"""Forecasting with one network for all series: units, features, simple methods, their joining, intervals."""
