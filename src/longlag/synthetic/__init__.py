"""Synthetic series: what a forecaster is taught on."""
