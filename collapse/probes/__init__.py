"""Instruments that look at a model and never change it: model and batch in, frozen result out.

measuring      a model as it is measured: float32, nothing random
likelihood     of texts; decoded: as the model writes them; continuations: of contexts
causality      does it see the tokens that it is to predict
curvature      products with the Hessian, and its spectrum
heads          keys and queries of every head, and the loss without some of them
mechanism      gradients, drift, similarity, slices of the loss
references     what continuations share with people's; code: is it Python; judge: features
tasks          lm-eval's tasks asked of a model in memory
"""
