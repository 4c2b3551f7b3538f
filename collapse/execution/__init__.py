"""Where stages meet MLflow: doors, the run of one step, and executors that walk a plan."""
