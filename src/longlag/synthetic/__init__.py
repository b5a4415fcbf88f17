"""Synthetic series: random levels, trends, seasons, noise and events, of which a forecaster can be taught."""
