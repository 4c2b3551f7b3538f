"""Instruments that look at a model and never change it: model and batch in, frozen result out."""
