"""The only code that imports mlflow: runs, nesting, reuse by fingerprint, registry, artifacts.

store      where it is, and that it can be written; server, postgres: a shared one
runs       found again by fingerprint, opened under their chain, closed
claims     written down before a study's first chain runs
metrics    numbers on their way to a run and its chain; outbox: in a file until they are there
patience   calls made again to a store that does not answer
registry   a model version per generation
seals      a number that is changed afterwards is seen to be changed
provenance the process and the commit that a run comes from; machine: what it does meanwhile
reader     what a study's chains measured, as tables
reports    a report as a run of its study
launcher   the run that MLflow's command line made before Python started
active     numbers into somebody else's active run
"""
