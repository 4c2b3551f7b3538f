"""Whether a chain heals that goes back to human text, and from when on it does not (R2.6).

findings   what was lost at the switch, and what of it is left at the end, by arm and metric
words      what that says, and what it does not
figures    the excess over the control before and after the switch
section    the report's section, its Markdown and its files
"""
