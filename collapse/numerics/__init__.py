"""Arrays in, frozen results out; explicit generators; no models, no files, no MLflow.

streams      random streams derived from a seed by name
lanczos      extreme eigenvalues with certificates; spectrum: density, bulk, indicators
rank         how many directions a matrix uses; pruning: which of them to keep
cka          how alike two sets of features are
diversity, repetition, copies, coherence, mauve, completion_classes   of texts
origins      where the distance from a known truth comes from
round_robin  is a run unlike all healthy runs; martingale: is a stream still exchangeable
resampling   errors of what is measured on a set of texts; parts: on the parts of a batch
sharing      one computation by several processes
"""
