"""Sorting a finite corpus by hash: training documents pass through, held-out ones are sampled."""

import hashlib
import heapq
from collections import Counter
from collections.abc import Callable, Iterator

from collapse.language.corpora.parts import PartedCorpus
from collapse.language.corpora.source import FiniteSource
from collapse.language.corpora.splits import HELDOUT_SPLITS, split_of, text_digest, text_hash

Progress = Callable[[int], object]
"""Called now and then with the number of documents read since the last call."""

_REPORTED_AT_ONCE = 1000


class Sorter:
    """Passes a finite corpus once: yields the training documents, keeps samples of the others.

    The sample of a split is those of its documents whose keyed hashes are smallest. So it is drawn
    at random, needs no more memory than it fills, and does not depend on the order of reading.

    Attributes:
        repeated: documents left out so far because an equal one had come.
        parts: training documents so far by the part they come from.
    """

    def __init__(self, source: FiniteSource, heldout_documents: int, seed: int) -> None:
        from collapse.numerics.streams import stream_seed

        self._source = source
        self._size = heldout_documents
        self._key = stream_seed(seed, "heldout").to_bytes(8, "big")
        self._kept: dict[str, list[tuple[int, str]]] = {split: [] for split in HELDOUT_SPLITS}
        self.repeated = 0
        self.parts: Counter[str] = Counter()

    def training_documents(self, limit: int | None, report: Progress) -> Iterator[tuple[str, str]]:
        """Yield (text, part), the part empty where the corpus has none.

        Args:
            limit: documents to read at most.
            report: told of the reading as it goes on.
        """
        seen: set[int] = set()
        read = 0
        for part, text in _named_documents(self._source, limit):
            read += 1
            if read % _REPORTED_AT_ONCE == 0:
                report(_REPORTED_AT_ONCE)
            name = text_hash(text)
            if name in seen:
                self.repeated += 1
                continue
            seen.add(name)
            split = split_of(text)
            if split == "train":
                if part:
                    self.parts[part] += 1
                yield text, part
            else:
                self._keep(split, text)
        report(read % _REPORTED_AT_ONCE)

    def _keep(self, split: str, text: str) -> None:
        keyed = hashlib.sha256(self._key + text_digest(text)).digest()
        # heapq has its smallest on top, and the largest rank is the one to drop.
        entry = (-int.from_bytes(keyed, "big"), text)
        if len(self._kept[split]) < self._size:
            heapq.heappush(self._kept[split], entry)
        else:
            heapq.heappushpop(self._kept[split], entry)

    def heldout(self) -> dict[str, list[str]]:
        """Held-out split to its sample, in random order, once the training documents are taken."""
        return {
            split: [text for _, text in sorted(kept, reverse=True)]
            for split, kept in self._kept.items()
        }


def _named_documents(source: FiniteSource, limit: int | None) -> Iterator[tuple[str, str]]:
    if isinstance(source, PartedCorpus):
        return source.named_documents(limit)
    return (("", text) for text in source.documents(limit))
