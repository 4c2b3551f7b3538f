"""Study 4: do data, vocabulary or capacity drive the collapse of a small code model (R4.3-R4.6)?

arms      what each arm of the study changes
tables    what comes in: one number a chain, by seed and arm
questions the comparisons that R4.5 asks for, and their margins
findings  all of it, from a study's record
words     what it says; caveats has what it does not say
figures   the classes of each arm; parse rate against bits per byte
section   the tables and completions of the report's section, and its files

An arm whose likelihoods alarm (`analysis.report.alarms`) is no evidence on bits per byte anywhere
here.
"""
