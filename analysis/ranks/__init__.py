"""Study 5: how many directions keys use while a model learns, and what that answers (R5.6, R5.7).

tables    what comes in: five data frames, and which arm plays which role
chains    one number a chain and checkpoint, layers and heads averaged; equal loss; half-way
changes   sudden or gradual: a step against a smooth change, by simulation
surgery   loss after pruning, per chain and strategy
gains     whether a key gain tells what its coordinate carries
questions the comparisons that R5.7 asks for
findings  all of it, from a study's record
formats   how its numbers are written
words     what it says; caveats has what it does not say
figures   trajectory, waterfall, simple against complex; curves has surgery and gains
section   the tables of the report's section, and its files

Only chains, one arm with one seed each, are replicates here.
"""

from analysis.ranks.tables import RankTables

__all__ = ["RankTables"]
