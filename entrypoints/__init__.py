"""Doors: one module an entry point of MLproject, each run as ``python -m entrypoints.NAME``."""
