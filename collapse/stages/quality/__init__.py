"""The stage `quality`: what a generation knows of human text, and what its own text is like.

stage       what is measured, in order
measures    numbers with their errors, on their way to the store and to quality.json
said        what the samples are like by themselves: variety, repetition, length
truth       stories alone: distance from the known distribution
copied      how much of the samples stands in the training text
continued   human beginnings, continued: BLEU and ROUGE-L against the human ends
judged      coherence and MAUVE, on the features of the corpus's judge
origins     stories alone: the distance split into sampling, fitting and decoding
coded       Python prompts, completed: classes, parsing, names
"""

from collapse.stages.quality.stage import quality

__all__ = ["quality"]
