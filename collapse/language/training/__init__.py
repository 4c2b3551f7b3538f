"""Training of a causal language model: recipe, loop, and states to resume from."""

from collapse.language.training.loop import train
from collapse.language.training.recipe import TrainingRecipe

__all__ = ["TrainingRecipe", "train"]
