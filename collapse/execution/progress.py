"""What a person sees while something runs: bars where somebody looks, and single lines."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager

from tqdm import tqdm

from collapse.stages.workspace import Advance


@contextmanager
def bar(what: str, total: int) -> Iterator[Advance]:
    """A bar with the time left; it goes away when it is done."""
    with tqdm(total=total or None, desc=what, leave=False, disable=not sys.stderr.isatty()) as one:

        def advance(done: int) -> None:
            one.update(done)

        yield advance


def say(text: str) -> None:
    """One line for a person, beside the bars."""
    print(text, file=sys.stderr, flush=True)
