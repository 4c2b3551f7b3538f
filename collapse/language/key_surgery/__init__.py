"""Attention keys pruned for as long as a block lasts; the weights themselves are never touched.

A head's keys K = X W_k^T are replaced by K P, with an orthogonal projector P for each key-value
head, which is what ``W_k <- P W_k`` (and the same for a bias) would do to the weights. Query heads
that share a key-value head share its projector.

The edit is made before RoPE, as any edit through W_k must be. A direction that is gone there is
gone at every position, but RoPE turns what is left by another angle at each position: the rotated
keys of many positions together span more directions than were kept, and the mate (i + E/2) of a
pruned coordinate i still carries their pair's position. What is pruned is thus the content that a
key can hold, not the rank of the rotated keys.

A norm over the head's width (QK-norm) divides by the size of what is left, and so blows the kept
directions up again. Therefore a place must be chosen, and a study must tell which:

    weights      through W_k; where there is a norm, it re-inflates
    rescaled     through W_k, and the norm divides by the size of the whole key, as before the edit
    after_norm   after norm and gains; zeroing a coordinate is zeroing its gain

For projectors on coordinates `rescaled` and `after_norm` are the same; for others they differ by
the gains in between.

Which directions are weak must be asked of keys from the place of the edit, whose site is in
``SITE_OF``. It depends on the gauge: a scale moved from a coordinate of K to that of Q (or from its
key gain to its query gain) changes K's singular directions and no output of the model.
"""

from collapse.language.key_surgery.edit import KeyEdit, pruned_keys
from collapse.language.key_surgery.places import PLACES, SITE_OF, key_gains, natural_place

__all__ = [
    "PLACES",
    "SITE_OF",
    "KeyEdit",
    "key_gains",
    "natural_place",
    "pruned_keys",
]
