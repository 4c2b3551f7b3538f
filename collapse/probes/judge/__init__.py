"""A fixed model that other models' text is judged by: features of texts and of sentences."""

from collapse.probes.judge.features import SentenceFeatures, sentence_features, text_features
from collapse.probes.judge.loading import load_judge
from collapse.probes.judge.model import Judge
from collapse.probes.judge.sentences import reads_as_prose, shuffle_sentences, split_sentences

__all__ = [
    "Judge",
    "SentenceFeatures",
    "load_judge",
    "reads_as_prose",
    "sentence_features",
    "shuffle_sentences",
    "split_sentences",
    "text_features",
]
