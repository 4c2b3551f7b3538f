"""What a metric is called in words, its unit, and how its numbers are written.

metric     how to speak of one metric
models     likelihoods, distance from the truth, training
origins    where the distance from the truth comes from
spectral   Hessians
texts      what a model's text is like: variety, repetition, copies, beside human text
code       Python that was completed (study 4)
mechanism  gradients, weights and activations beside another generation's (R2.8)
tasks      what a model can do (study 3)
catalogue  all of them by name
"""

from analysis.metrics.catalogue import is_error, metric_info
from analysis.metrics.metric import MINUS, Metric
from analysis.metrics.spectral import TEXTS

__all__ = ["MINUS", "TEXTS", "Metric", "is_error", "metric_info"]
