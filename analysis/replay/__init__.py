"""The first seed's published numbers, worked out again: one chain, no control (R1.6, R1.7).

published  the raw numbers, the table made of them, what it left out, its figure
page       that table as a page, with what may not be concluded
__main__   ``python -m analysis.replay FOLDER --to FOLDER``
"""
