"""Arrays in, frozen results out; explicit generators; no models, no files, no MLflow."""
