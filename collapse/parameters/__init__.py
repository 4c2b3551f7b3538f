"""Text becomes values here and nowhere else: doors, study files, their checks and their help.

fields     what a parameter is: a help line, a check, what it means to identity
doors      one dataclass a door, of groups of settings (groups, probe_groups)
parse      words of a command line over a study file; overrides: of a preset's configuration
study      study files; yaml_text: plain YAML that a person wrote
mlproject  the MLproject file and `--help`, written from the dataclasses
"""
