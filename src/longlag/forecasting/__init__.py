"""Forecasting many series with one network: units, features, simple methods, their combination, intervals."""
