"""From a study's measurements to tables, figures, a verdict and a report.

    study      what comes in: claims, and a record of chains as data frames
    metrics    what each metric is called in words, its unit, how its numbers are written
    statistics intervals and exact tests for a handful of values
    answers    comparisons over seeds, one family, and their verdicts; answers_words writes them
    effects    paired differences over seeds, and the verdict on a claim
    events     the generation at which a chain first breaks away from its control
    findings   verdicts in words, the positive control, what is missing
    answer     the primary claim in a sentence; cautions: what may not be concluded
    methods    how the numbers were made, and their sources
    tables     numbers per arm and generation, and the ledger of runs
    titles     findings in words
    figures    trajectories over generations
    trends     whether a metric rises or falls over the generations of a chain
    spectra    negative mass, certificates, and the four indicators of collapse; beside it
               spectra_words (what they say) and spectra_figures
    early_warning  does an indicator's alarm lead the event, at what rate of false alarms
    inference  mixed models, corrected contrasts, links, power
    mechanism  gradients, drift, similarity of activations
    ranks      how many directions keys use while a model learns: the answers of study 5
    code       what drives the collapse of a code model: the answers of study 4
    scaling    power laws, task links and the best settings: the answers of study 3
    sections   the report's sections, each with its words, figures and tables
    page       the report's page, from the templates
    report     writes page, figures and numbers; a summary for the terminal
    kept       a study's record as a folder; recompute makes report and verdict of it again
    replay     the first seed's published table, worked out again from its files

But for these two, nothing here reads a file; nothing trains, measures, or knows where the numbers
were kept.
"""
