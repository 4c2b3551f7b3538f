"""Text becomes values here and nowhere else: doors, study files, their checks and their help."""
