"""How generations come away from the first: gradients, weights, activations, loss around (R2.8).

findings  the metrics that a study has of it, and every arm's last values beside the control's
words     what they say, and what they do not
figures   trajectories over generations
section   the report's section, its Markdown and its file

Seeds are the unit: layers of one model are no replicates, and are only described.
"""
