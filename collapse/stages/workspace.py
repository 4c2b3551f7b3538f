"""Where a stage reads and writes."""

from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, field
from pathlib import Path

Advance = Callable[[int], None]
"""Told how much more is done."""


@dataclass(frozen=True)
class Checkpoint:
    """A generation's model and tokenizer on disk."""

    model: Path
    tokenizer: Path


@dataclass(frozen=True)
class Inputs:
    """What earlier stages left behind, on local disk.

    Attributes:
        prepared: folder of the stage `prepare`: `corpus/` and `tokenizer/`.
        checkpoint: the newest generation that this stage stands on; None for the baseline.
        lineage: artifacts of generations 0, 1, ... of the chain, up to that one.
        ancestors: of these the weights, by generation, that the stage's door asks for by
            `STANDS_ON`; the generation itself is not among them.
        earlier: artifacts of the same stage at earlier generations, by generation.
        teacher: the arm that a baseline learns from, where it learns from one.
        judge: folder of the corpus's judge, where it is asked.
    """

    prepared: Path | None = None
    checkpoint: Checkpoint | None = None
    lineage: tuple[Path, ...] = ()
    ancestors: Mapping[int, Checkpoint] = field(default_factory=dict)
    earlier: Mapping[int, Path] = field(default_factory=dict)
    teacher: Checkpoint | None = None
    judge: Path | None = None


@dataclass(frozen=True)
class DatasetNote:
    """A text that a stage made or read, to be logged as an MLflow dataset.

    Attributes:
        name: such as ``synthetic_text``.
        context: what it was used for, such as ``training``.
        folder: where it lies, relative to the stage's folder.
        digest: hash of its content.
        documents: number of documents.
    """

    name: str
    context: str
    folder: str
    digest: str
    documents: int


def by_increments(advance: Advance) -> Advance:
    """For a loop that tells how much is done so far, an advance that is told what is new."""
    before = 0

    def so_far(done: int) -> None:
        nonlocal before
        advance(done - before)
        before = done

    return so_far


@contextmanager
def no_progress(_what: str, _total: int) -> Iterator[Advance]:
    """Progress that nobody looks at."""
    yield lambda _done: None


@dataclass(frozen=True)
class Workspace:
    """One run of one stage.

    Attributes:
        folder: what is written here becomes the run's artifacts; `checkpoint/` becomes a version
            of the registered model.
        state: scratch that survives a kill, so that the next call goes on from it.
        inputs: what earlier stages left.
        datasets: texts to be logged as MLflow datasets; stages append to it.
        progress: ``with progress(what, total) as advance: advance(done)``.
    """

    folder: Path
    state: Path
    inputs: Inputs
    datasets: list[DatasetNote] = field(default_factory=list)
    progress: Callable[[str, int], AbstractContextManager[Advance]] = no_progress
