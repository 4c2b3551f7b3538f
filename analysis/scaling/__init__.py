"""Study 3: how loss and nine tasks go with size, learning rate and steps (R3.2, R3.5, R3.6).

tables    one row a chain; which arms differ in shape alone; floors and the loss that compares
laws      power laws by least squares, and the reasons not to tell one
dynamics  what each doubling of the steps of one run brings
tasks     which tasks move together, predict the rest, gain from size
factors   which hyperparameter goes with what, and arms against the control
recommend the best arm, how sure, and which arms it cannot be told from
findings  all of it, from a study's record
words     what it says, and what it does not say
figures   benchmark, heat map and scaling curves; curves has dynamics and learning rates
section   the tables of the report's section, and its files

Only whole seeds are resampled; steps, tasks and items of one chain are no replicates.
"""
