"""Spectra of the Hessian over a study, and the four indicators of collapse taken from them.

indicators  negative mass, certificates, indicators with their errors
words       what they say, and what they do not
figures     spectra over generations, and the numbers taken from them
section     the report's section
"""
