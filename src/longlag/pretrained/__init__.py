"""A forecaster without training: a small LSTM taught on synthetic series."""
