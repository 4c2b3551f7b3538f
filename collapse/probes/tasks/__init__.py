"""The nine tasks, through lm-eval: what is asked, how a model is asked, and how it is scored.

harness        tasks as lm-eval knows them, run on a model; its own definitions where it has them
lm             a checkpoint as lm-eval sees a model
squad          reading comprehension as SQuAD v1.1 scores it
scores         accuracy with its error beside the floor, and one number over all tasks
random_scorer  what chance reaches on the same items
*.yaml         tasks that lm-eval has not

lm-eval is loaded by `harness` and `lm` alone, and takes a second.
"""
