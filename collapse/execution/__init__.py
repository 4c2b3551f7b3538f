"""Where stages meet MLflow: doors, the run of one step, and executors that walk a plan.

door        what every door does; stage_door: single stages, study_door: whole studies
prepared    a plan fingerprinted, its corpora and models looked at; checks: what it names
price       what a study will cost here, rehearsed before it is begun
study_run   a plan under MLflow: chains opened, steps walked, chains closed
walk        step by step, in this process or by a crew of others
crews       which crew: local (processes of this machine) or ray_cluster
task        one step under MLflow; it can travel to another process
alike       one way of measuring for all that is compared
kept        what a stage made before it was handed over
processes   several processes on one stage
scratch     what this machine keeps between processes, and locks
work        how much work a step is; costs: what its parts cost beside each other
course      what a person sees meanwhile; progress: how far a stage says that it is
load        a generation out of the registry, for a notebook
"""
