"""What texts copy from a training text, token for token.

Shapes: S samples; L tokens of all samples one after another, a gap after each; T the same of a part
of the training text.
"""

from collections.abc import Hashable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain, repeat

import numpy as np
from numpy.typing import NDArray

from collapse.errors import BadParameter

Integers = NDArray[np.int64]
Mask = NDArray[np.bool_]

COPIED_TOKENS = 20
"""A copied piece has at least so many tokens, unless the sample has fewer."""

COPIED_SHARE = 0.5
"""A copied piece is at least so much of its sample."""

PART_TOKENS = 1 << 18
"""Training tokens at a time, about: what is made of so many stays near the processor."""

_SLOT_BITS = 16
_GAP = object()


@dataclass(frozen=True, eq=False)
class Copies:
    """How much each of S samples copies from a training text.

    A sample is copied where one piece of it is, long in itself and much of the sample: its longest
    shared n-gram covers at least half of it (``COPIED_SHARE``) and at least 20 tokens
    (``COPIED_TOKENS``), or all of it where it is shorter than that. Small worlds and chance make
    copies, too: set the share among human texts beside that among samples.

    Attributes:
        tokens_S: tokens of the sample.
        longest_S: tokens of the longest n-gram that it shares with a training document.
        copied_S: whether it is copied; a sample without tokens is not, nor is it original: leave it
            out of shares.
        whole_S: whether it stands in a training document from its first token to its last.
    """

    tokens_S: Integers
    longest_S: Integers
    copied_S: Mask
    whole_S: Mask

    @classmethod
    def judged(cls, tokens_S: Integers, longest_S: Integers) -> "Copies":
        """From the numbers of tokens alone."""
        least_S = np.minimum(np.maximum(COPIED_SHARE * tokens_S, COPIED_TOKENS), tokens_S)
        there_S = tokens_S > 0
        return cls(
            tokens_S,
            longest_S,
            copied_S=there_S & (longest_S >= least_S),
            whole_S=there_S & (longest_S == tokens_S),
        )


def find_copies(
    samples: Sequence[Sequence[Hashable]],
    training: Iterable[Sequence[Hashable]],
    *,
    part_tokens: int = PART_TOKENS,
) -> Copies:
    """The longest n-gram that each sample shares with a document of the training text, exactly.

    n-grams of 1, 2, 4, 8 ... tokens that stand in a sample are given names, and those of the
    training text are looked up among them (Karp, Miller and Rosenberg, 1972). Two n-grams of k
    tokens are equal where the names of their first and of their last 2^j tokens are, for 2^j the
    largest power not above k. The training text streams through in parts, and in each a sample
    looks only for n-grams longer than what it has found before.

    Args:
        samples: tokens of each sample.
        training: tokens of each training document, cut by the same rule. It is read once, and may
            be a generator.
        part_tokens: tokens of the training text at a time, about; it changes nothing but time and
            memory.

    Returns:
        In the order of the samples; 0 tokens where a sample shares not even one.

    Raises:
        BadParameter: part_tokens is not positive.
    """
    if part_tokens < 1:
        raise BadParameter(f"part_tokens is {part_tokens}: it must be at least 1")
    search = _Search(samples)
    for documents in _parts(training, part_tokens, overlap=int(search.tokens_S.max(initial=0))):
        search.read(_numbered(documents, search.numbers))
    return Copies.judged(search.tokens_S, search.longest_S)


class _Search:
    """The samples, the names of their n-grams, and the longest shared one found so far of each."""

    def __init__(self, samples: Sequence[Sequence[Hashable]]) -> None:
        self.numbers: dict[Hashable, int] = {}
        for token in chain.from_iterable(samples):
            self.numbers.setdefault(token, len(self.numbers) + 1)
        self.tokens_S = np.array([len(tokens) for tokens in samples], dtype=np.int64)
        self.longest_S = np.zeros(len(samples), dtype=np.int64)
        self._sample_L = np.repeat(np.arange(len(samples)), self.tokens_S + 1)
        self._levels: list[_Level] = []
        names_L = _numbered(samples, self.numbers)
        while names_L.any():
            level = _Level.of(names_L, 1 << len(self._levels))
            self._levels.append(level)
            names_L = level.double(names_L)

    def read(self, part_T: Integers) -> None:
        """Look for longer shared n-grams in this part of the training text."""
        names = [part_T]
        for level in self._levels[:-1]:
            names.append(level.double(names[-1]))
        open_S = self.longest_S < self.tokens_S
        while open_S.any():
            length = int(self.longest_S[open_S].min()) + 1
            asked_S = open_S & (self.longest_S == length - 1)
            found_S = self._shared(length, asked_S, names)
            self.longest_S[found_S] = length
            open_S &= (found_S | ~asked_S) & (self.longest_S < self.tokens_S)

    def _shared(self, length: int, asked_S: Mask, names: Sequence[Integers]) -> Mask:
        """Which of the samples asked for share an n-gram of this length with the part."""
        level = length.bit_length() - 1
        shift = length - (1 << level)
        starts, wanted = _pairs(self._levels[level].names_L, shift, asked_S[self._sample_L])
        _, there = _pairs(names[level], shift)
        met = np.isin(wanted, there[_may_be_among(wanted, there)])
        found_S = np.zeros_like(asked_S)
        found_S[self._sample_L[starts[met]]] = True
        return found_S


@dataclass(frozen=True, eq=False)
class _Level:
    """Names of the samples' n-grams of one length, a power of two.

    Attributes:
        names_L: of the n-gram that starts at each place, from 1; 0 where it would leave the sample.
        tokens: the length.
        pairs: all that make an n-gram twice as long, ascending; the i-th is named i + 1.
    """

    names_L: Integers
    tokens: int
    pairs: Integers

    @classmethod
    def of(cls, names_L: Integers, tokens: int) -> "_Level":
        return cls(names_L, tokens, np.unique(_pairs(names_L, tokens)[1]))

    def double(self, names: Integers) -> Integers:
        """From the names of a text's n-grams those of the ones twice as long.

        Names are those of the samples' n-grams: an n-gram that no sample has is named 0.
        """
        starts, pairs = _pairs(names, self.tokens)
        likely = np.flatnonzero(_may_be_among(self.pairs, pairs))
        starts, pairs = starts[likely], pairs[likely]
        places = np.searchsorted(self.pairs, pairs)
        places[places == len(self.pairs)] = 0
        same = self.pairs[places] == pairs
        doubled = np.zeros_like(names)
        doubled[starts[same]] = places[same] + 1
        return doubled


def _parts(
    training: Iterable[Sequence[Hashable]], part_tokens: int, overlap: int
) -> Iterator[list[Sequence[Hashable]]]:
    """Documents of about so many tokens together; a longer one in pieces that overlap."""
    part: list[Sequence[Hashable]] = []
    room = part_tokens
    for document in training:
        for begin in range(0, len(document), part_tokens):
            part.append(document[begin : begin + part_tokens + overlap])
            room -= len(part[-1])
            if room <= 0:
                yield part
                part, room = [], part_tokens
    yield part


def _numbered(documents: Sequence[Sequence[Hashable]], numbers: Mapping[Hashable, int]) -> Integers:
    """The tokens as numbers, 0 for one that no sample has, and 0 after each document."""
    tokens = chain.from_iterable(chain(document, (_GAP,)) for document in documents)
    return np.fromiter(map(numbers.get, tokens, repeat(0)), dtype=np.int64)


def _pairs(names: Integers, shift: int, wanted: Mask | None = None) -> tuple[Integers, Integers]:
    """Where two named n-grams start this far apart, and one number for each such pair."""
    first, second = names[: max(len(names) - shift, 0)], names[shift:]
    there = (first != 0) & (second != 0)
    if wanted is not None:
        there &= wanted[: len(there)]
    starts = np.flatnonzero(there)
    return starts, (first[starts] << 32) | second[starts]


def _may_be_among(few: Integers, many: Integers) -> Mask:
    """Which of the many numbers may be among the few: all that are, and some by accident."""
    taken = np.zeros(1 << _SLOT_BITS, dtype=np.bool_)
    taken[_slots(few)] = True
    return taken[_slots(many)]


def _slots(numbers: Integers) -> NDArray[np.uint64]:
    """Multiplicative hashing: the high bits of a product (Knuth, vol. 3, section 6.4)."""
    golden = np.uint64(0x9E3779B97F4A7C15)
    return (numbers.view(np.uint64) * golden) >> np.uint64(64 - _SLOT_BITS)
