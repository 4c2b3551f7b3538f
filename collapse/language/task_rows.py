"""The items of the nine tasks: embedded in this project, in files, or on the Hugging Face hub.

Light: looking whether items can be had loads none of torch, transformers and datasets.
"""

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from importlib.metadata import version
from pathlib import Path
from typing import Any

from collapse.errors import BadCorpus, BadParameter
from collapse.language.hub import from_folder_or_hub, require_hub_access
from collapse.language.task_fields import check_row

EMBEDDED = "stories"
HUB = "hub"
EMBEDDED_ITEMS = 300
"""Items of an embedded task where no limit is given."""
OF_SOME_PLOTS = ("lambada", "arithmetic", "squad")
"""Tasks whose items can be made of the stories of some plots alone."""
SHOT_POOL = 64
"""Items kept apart from a public set, for examples before a question."""

Row = dict[str, Any]


@dataclass(frozen=True)
class PublicSet:
    """A public set of items.

    Attributes:
        file: where it lies in a folder of sets, in the hub's format.
        repository: its name on the hub.
        configuration: its configuration there, where it has several.
        split: the split that is scored.
    """

    file: str
    repository: str
    split: str
    configuration: str | None = None


PUBLIC: dict[str, PublicSet] = {
    "hellaswag": PublicSet("hellaswag/validation.jsonl", "Rowan/hellaswag", "validation"),
    "piqa": PublicSet("piqa/validation.jsonl", "baber/piqa", "validation"),
    "siqa": PublicSet("siqa/validation.jsonl", "lighteval/siqa", "validation"),
    "lambada": PublicSet(
        "lambada_openai/test.jsonl", "EleutherAI/lambada_openai", "test", "default"
    ),
    "squad": PublicSet("squad/validation.jsonl", "rajpurkar/squad", "validation"),
}
TASK_NAMES = (
    "hellaswag",
    "piqa",
    "siqa",
    "lambada",
    "arithmetic",
    "sentence_completion",
    "word_association",
    "simple_qa",
    "squad",
)
"""In the order of R3.4; those that are not in `PUBLIC` are always the embedded ones."""


@dataclass(frozen=True)
class TaskItems:
    """The items of one task.

    Attributes:
        task: one of `TASK_NAMES`.
        source: ``stories`` or ``stories:PLOT,...``, the file, or the hub's name.
        rows: what is scored, in the hub's fields.
        shots: other items, for examples before a question.
        seed: that embedded items are drawn with.
    """

    task: str
    source: str
    rows: tuple[Row, ...]
    shots: tuple[Row, ...] = ()
    seed: int = 0

    @property
    def is_embedded(self) -> bool:
        """Whether they are in the plain language of the embedded corpus."""
        return is_embedded(self.source)

    @property
    def digest(self) -> str:
        """16 hexadecimal digits of the items in their order."""
        text = json.dumps([self.rows, self.shots], sort_keys=True, ensure_ascii=False)
        return hashlib.sha256(text.encode()).hexdigest()[:16]


def is_embedded(task_data: str) -> bool:
    """Whether ``task_data`` names the embedded items: ``stories``, or ``stories:PLOT,...``."""
    return task_data.partition(":")[0] == EMBEDDED


def chosen_tasks(names: str) -> tuple[str, ...]:
    """The tasks of ``all`` or of a list separated by commas, in the order of `TASK_NAMES`.

    Raises:
        BadParameter: no task of such a name.
    """
    if names == "all":
        return TASK_NAMES
    asked = [name.strip() for name in names.split(",")]
    for name in asked:
        if name not in TASK_NAMES:
            near = get_close_matches(name, TASK_NAMES, n=1)
            hint = f"did you mean {near[0]}?" if near else "known are " + ", ".join(TASK_NAMES)
            raise BadParameter(f"tasks={names}: no task {name!r}: {hint} (or all)")
    return tuple(name for name in TASK_NAMES if name in asked)


def check_items(tasks: Sequence[str], task_data: str) -> str:
    """See that the items of tasks can be had, in two seconds and without loading anything heavy.

    Args:
        tasks: names of `TASK_NAMES`.
        task_data: ``stories``, ``stories:PLOT,...``, ``hub``, or a folder of files in the hub's
            format.

    Returns:
        A digest of lm-eval's version and of the files, or of the word where there are none.

    Raises:
        BadCorpus: a file or the folder is not there, or the hub is out of reach; or a file has no
            item, or one that is malformed.
    """
    public = {task: PUBLIC[task] for task in tasks if task in PUBLIC and not is_embedded(task_data)}
    if is_embedded(task_data):
        check_plots(tasks, task_data)
    running = hashlib.sha256(f"lm_eval {version('lm_eval')}".encode())
    for task, one in public.items():
        if task_data == HUB:
            _require_on_hub(one)
            running.update(one.repository.encode())
        else:
            path = _file(task_data, one)
            _check_rows(task, str(path), _read_file(path))
            running.update(path.read_bytes())
    return running.hexdigest()


def task_items(
    task: str, task_data: str, *, limit: int = 0, with_shots: bool = False, seed: int = 0
) -> TaskItems:
    """The items of a task, the same for everyone who asks with the same seed.

    Args:
        task: one of `TASK_NAMES`.
        task_data: ``stories``, ``stories:PLOT,...``, ``hub``, or a folder of files in the hub's
            format.
        limit: items at most, drawn without replacement; 0 for all of a public set, or
            `EMBEDDED_ITEMS` of an embedded one.
        with_shots: keep items apart for examples before a question.
        seed: of the draw: the study's.

    Raises:
        BadCorpus: the items are out of reach, or one of them is malformed.
    """
    if task not in PUBLIC or is_embedded(task_data):
        world = task_data if is_embedded(task_data) else EMBEDDED
        return _embedded(task, world, limit, with_shots, seed)
    from collapse.numerics.streams import numpy_stream

    one = PUBLIC[task]
    if task_data == HUB:
        source, rows = f"{one.repository} (hub)", _read_hub(one)
    else:
        path = _file(task_data, one)
        source, rows = str(path), _read_file(path)
    _check_rows(task, source, rows)
    rng = numpy_stream(seed, "benchmark", "items", task)
    order = rng.permutation(len(rows))
    held = SHOT_POOL if with_shots else 0
    shots, rest = order[:held], order[held:]
    kept = sorted(rest[:limit] if limit else rest)
    if not kept:
        raise BadCorpus(f"task {task}: {source} has {len(rows)} items, and none is left to score")
    return TaskItems(task, source, tuple(rows[i] for i in kept), tuple(rows[i] for i in shots))


def _check_rows(task: str, source: str, rows: Sequence[Row]) -> None:
    if not rows:
        raise BadCorpus(f"task {task}: {source} holds no item: put a line of JSON in it for each")
    for number, row in enumerate(rows, start=1):
        check_row(task, row, f"{source}, row {number}")


def check_plots(tasks: Sequence[str], task_data: str) -> None:
    """See that tasks can be asked of the stories of some plots.

    Raises:
        BadCorpus: there is no such plot.
        BadParameter: a task needs the answers of many plots, or has too few items in these.
    """
    from collapse.language.corpora.stories.world import world

    world(task_data)
    needy = [task for task in tasks if task not in OF_SOME_PLOTS]
    if needy and task_data != EMBEDDED:
        raise BadParameter(
            f"task_data={task_data}: {needy[0]} needs the stories of all plots; of some there are "
            f"{', '.join(OF_SOME_PLOTS)}"
        )
    for task in set(tasks) - {"arithmetic"} if task_data != EMBEDDED else ():
        _embedded(task, task_data, EMBEDDED_ITEMS, with_shots=False, seed=0)


def _embedded(task: str, world: str, limit: int, with_shots: bool, seed: int) -> TaskItems:
    from collapse.language.story_tasks import story_items

    rows = story_items(task, "test", limit or EMBEDDED_ITEMS, seed, world)
    shots = story_items(task, "dev", SHOT_POOL, seed, world) if with_shots else []
    for number, row in enumerate([*rows, *shots], start=1):
        check_row(task, row, f"embedded {task}, item {number}")
    return TaskItems(task, world, tuple(rows), tuple(shots), seed)


def _file(task_data: str, one: PublicSet) -> Path:
    folder = Path(task_data).expanduser()
    if not folder.is_dir():
        raise BadCorpus(
            f"task_data={task_data}: there is no such folder: give one that holds {one.file}, "
            "or stories (embedded items), or hub"
        )
    if not (folder / one.file).is_file():
        raise BadCorpus(
            f"task_data={task_data}: {folder / one.file} is not there: put it there, leave its "
            "task out of tasks, or use task_data=stories"
        )
    return folder / one.file


def _read_file(path: Path) -> list[Row]:
    try:
        lines = path.read_text(encoding="utf-8").split("\n")
    except OSError as error:
        raise BadCorpus(f"{path} cannot be read: {error.strerror or error}") from None
    except UnicodeDecodeError as error:
        raise BadCorpus(
            f"{path} is not UTF-8 text ({error.reason} at byte {error.start}): save it as JSON "
            "lines in UTF-8"
        ) from None
    return [_read_row(line, f"{path}, row {n}") for n, line in enumerate(lines, start=1) if line]


def _read_row(line: str, where: str) -> Row:
    try:
        row = json.loads(line)
    except (ValueError, RecursionError) as error:
        raise BadCorpus(f"{where} is no JSON: {error}") from None
    if not isinstance(row, dict):
        raise BadCorpus(f"{where} is no JSON object")
    return row


def _require_on_hub(one: PublicSet) -> None:
    try:
        require_hub_access(one.repository, kind="dataset")
    except BadCorpus as error:
        what = str(error).rpartition(": ")[0]
        raise BadCorpus(
            f"task_data=hub: {what}: use task_data=stories (embedded items), or the path of a "
            f"folder that holds {one.file}"
        ) from None


def _read_hub(one: PublicSet) -> list[Row]:
    _require_on_hub(one)
    from datasets import DownloadConfig, load_dataset

    def read(local_files_only: bool) -> Any:
        where = DownloadConfig(local_files_only=local_files_only)
        return load_dataset(
            one.repository, one.configuration, split=one.split, download_config=where
        )

    try:
        found = from_folder_or_hub(read, one.repository, "dataset")
    # The library raises errors of many unrelated classes.
    except Exception as error:
        reason = " ".join(str(error).split())[:200]
        raise BadCorpus(f"task_data=hub: {one.repository} cannot be loaded: {reason}") from error
    return [dict(row) for row in found]
