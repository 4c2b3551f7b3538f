"""Where collapse comes from, on a corpus whose truth is known: sampling, fitting, decoding.

passed_on  what the text that a generation read had lost before, from the scores of all generations
findings   the parts of every arm over generations, and beside the control's
words      what they say, and what they do not
figures    the parts stacked, and what was read against what was added
section    the report's section, its Markdown and its files
"""
