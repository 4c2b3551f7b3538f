"""What another setting does to what recursion costs: ablations and interventions (R2.7, R2.9).

findings   what recursion costs each arm beyond its own control, and beside the arm as it stands
settings   settings in words, by the names that are typed
words      what that says, and what it does not
figures    the costs as a forest, and against the settings that are numbers
section    the report's section, its Markdown and its files
"""
