"""Does any indicator raise an alarm before the event, how early, and at what rate of false alarms?

exceedance   how far a chain stands outside the healthy ones; alarms
threshold    where the alarm is set, and what is sure of its false alarms
lead         event minus alarm, with censoring; the median and its interval
indicators   everything that might warn, in which direction
cost         what a look takes
calibration  thresholds from a study's healthy chains
leads        the leads of one indicator over one event
verdict      on a claim of lead
placebo      the alarm rules of EarlyWarning on healthy chains
comparison   is a traditional metric as good?
tables       every indicator with its lead, false alarms and price; the whole trade
findings     all of it for a study
words        in sentences
section      as HTML and Markdown
figures      leads, and what false alarms buy; trajectories beside the healthy band
"""
