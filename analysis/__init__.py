"""From a study's measurements to tables, figures, a verdict and a report.

What comes in, and what every room uses:

    study      claims, and a record of chains as data frames
    kept       a study's record as a folder; recompute makes report and verdict of it again
    metrics    what each metric is called in words, its unit, how its numbers are written
    statistics intervals and exact tests for a handful of values; families: of many at once
    tables     numbers per arm and generation; runs: what ran, what failed, what is missing
    figures    trajectories over generations; titles: findings in words
    events     the generation at which a chain first breaks away from its control
    trends     whether a metric rises or falls over the generations of a chain

What is asked of every study:

    claims         the verdict on every claim, with its reasons
    comparisons    comparisons over seeds, corrected as one family
    inference      mixed models, corrected contrasts, links, power
    early_warning  does an indicator's alarm lead the event, at what rate of false alarms
    report         the page, from all of this

What is asked where it was measured:

    spectra    the Hessian's ends, bulk and negative mass, and the four indicators of collapse
    mechanism  gradients, drift, similarity of activations
    origins    sampling, fitting, decoding: where the distance from the truth comes from
    recovery   whether a chain heals that goes back to human text
    ablations  what other settings do to what recursion costs: ablations and interventions
    ranks      how many directions keys use while a model learns: study 5
    code       what drives the collapse of a code model: study 4
    scaling    power laws, task links and the best settings: study 3
    replay     the first seed's published table, worked out again from its files

But for kept and replay, nothing here reads a file; nothing trains, measures, or knows where the
numbers were kept.
"""
