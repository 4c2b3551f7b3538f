"""The report: one page that needs nothing beside it.

alarms     what must be said before any number is believed
cautions   what may not be concluded
methods    how the numbers were made, and their sources
sections   the sections: each belongs to one question, and is there where the study asks it
page       the page, from its templates
results_page  the same in Markdown, for docs/results
writing    writes page, figures and numbers; a summary for the terminal
"""
