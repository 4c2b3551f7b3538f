"""Training of a causal language model: recipe, loop, and states to resume from."""

from collapse.language.training.loop import train
from collapse.language.training.recipe import TrainingRecipe
from collapse.language.training.teacher import Teacher

__all__ = ["Teacher", "TrainingRecipe", "train"]
