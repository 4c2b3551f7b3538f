"""Learners whose weights follow from their text in closed form: what their chains do is known."""

from collapse.language.learners.estimators import ESTIMATORS, Estimator
from collapse.language.learners.fitting import fit

__all__ = ["ESTIMATORS", "Estimator", "fit"]
