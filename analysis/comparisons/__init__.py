"""Comparisons over seeds, corrected as one family.

answers    each with a verdict, or the reason for none
words      answers in sentences and in the cells of a table
"""
