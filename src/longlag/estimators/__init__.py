"""The scikit-learn front: classify, regress and forecast sequences with fit and predict."""

from longlag.loading import collector_paused

with collector_paused():  # PyTorch, scikit-learn and what they load
    from longlag.estimators.base import load
    from longlag.estimators.classifier import LSTMClassifier
    from longlag.estimators.forecaster import LSTMForecaster
    from longlag.estimators.regressor import LSTMRegressor

__all__ = ["LSTMClassifier", "LSTMForecaster", "LSTMRegressor", "load"]
