"""The only code that imports mlflow: runs, nesting, reuse by fingerprint, registry, artifacts."""
