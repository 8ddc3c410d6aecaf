"""A plugin of pytest that runs scikit-learn's tests of its perceptrons with those of nnreg."""

import pytest
from sklearn import neural_network

from nnreg.estimators import MLPClassifier, MLPRegressor

neural_network.MLPClassifier, neural_network.MLPRegressor = MLPClassifier, MLPRegressor

#: They set private attributes; `test_sklearn_estimators.py` states them with public ones.
PRIVATE = ("test_fit", "test_gradient")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Leave out the tests of private attributes."""
    items[:] = [item for item in items if item.name not in PRIVATE]
