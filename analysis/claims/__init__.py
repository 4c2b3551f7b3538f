"""The verdict on every claim of a study.

effects    paired differences over seeds
weighing   values of seeds against a margin: supported, refuted or undecided
reasons    why, in sentences
verdicts   every claim's verdict, with its estimate in words
answer     the primary claim in a sentence
positive_control  whether the study could have shown decline at all
"""
