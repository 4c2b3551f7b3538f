"""What a study's numbers allow to be said beyond one claim at a time (R2.5, R2.6).

pairs         effect sizes of paired differences, with intervals; equivalence by Student's t
mixed         slopes over generations against the control: the primary analysis
anova         variance across arms at the last generation, and t-tests of all pairs of arms
family        all arms and metrics against the control, corrected together
correlations  whether two metrics move together beyond what they share with their arm
links         the same for a study: spectral metrics against traditional ones
power         what a number of seeds can show, before anything is run
outcomes      which metrics are compared
findings      all of it for one study
words, section, figures, heat   how the report tells and draws it
"""
