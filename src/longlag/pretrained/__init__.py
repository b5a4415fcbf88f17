"""A forecaster that needs no training: a small LSTM, taught on synthetic series alone."""
