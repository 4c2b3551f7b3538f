"""The decoder: one configurable causal transformer, in a file that travels with its weights."""
