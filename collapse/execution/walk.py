"""A plan walked step by step, in this process or by a crew of others; nobody here knows which."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from functools import partial
from typing import Protocol

from collapse.execution.course import Course
from collapse.execution.progress import Told
from collapse.execution.task import Outcome, Task, run_task
from collapse.stages.plan import Plan, Step

MakeTask = Callable[[Step, Mapping[str, Outcome]], Task]

TRAINING = ("prepare", "baseline", "recurse_step")


class Crew(Protocol):
    """Processes that run tasks: on this machine, or on many.

    Attributes:
        size: tasks at once.
    """

    size: int

    def submit(self, task: Task) -> int:
        """Hand out a task, and return its number."""
        ...

    def finished(self, seconds: float) -> Iterable[tuple[int, Outcome | Exception]]:
        """Tasks that ended within so many seconds, each with its outcome or its own error.

        Raises:
            CollapseError: what stops the whole walk.
        """
        ...

    def told(self) -> Iterable[tuple[int, tuple[Told, ...]]]:
        """How far tasks have come, as they told since this was asked the last time."""
        ...

    def stop(self) -> None:
        """Interrupt what runs, so that each closes its run as KILLED."""
        ...

    def leave(self) -> None:
        """Let the processes go."""
        ...


@dataclass
class Walk:
    """How far a plan has been walked.

    Attributes:
        outcomes: steps that finished, by key.
        errors: steps that failed, by key.
        skipped: steps that stood on one that failed, by key, with the key of that one.
    """

    outcomes: dict[str, Outcome] = field(default_factory=dict)
    errors: dict[str, Exception] = field(default_factory=dict)
    skipped: dict[str, str] = field(default_factory=dict)

    def blocked_by(self, step: Step) -> str | None:
        """The failed step that a step stands on, if there is one."""
        return next((n for n in step.needs if n in self.errors or n in self.skipped), None)

    def settle(self, step: Step, found: Outcome | Exception) -> None:
        """Take down what became of a step."""
        if isinstance(found, Exception):  # of any kind: other chains have nothing to do with it
            self.errors[step.key] = found
        else:
            self.outcomes[step.key] = found


def walk_alone(
    walk: Walk, plan: Plan, make_task: MakeTask, course: Course, *, stop_at_first: bool
) -> None:
    """Run the steps one after the other in this process."""
    for step in plan.steps:
        if failed := walk.blocked_by(step):
            walk.skipped[step.key] = failed
            course.end(step.key)
            continue
        course.begin(step.key)
        found: Outcome | Exception
        try:
            found = run_task(make_task(step, walk.outcomes), partial(course.tell, step.key))
        except Exception as error:
            if stop_at_first:
                raise
            found = error
        walk.settle(step, found)
        course.end(step.key, seconds_of(found))


def walk_together(walk: Walk, plan: Plan, make_task: MakeTask, course: Course, crew: Crew) -> None:
    """Have a crew run the steps, each as soon as what it needs has finished.

    A step that fails takes with it only what stands on it; the other chains go on.
    """
    running: dict[int, Step] = {}
    waiting = list(plan.steps)
    try:
        while waiting or running:
            waiting = _submit(crew, waiting, running, walk, make_task, course)
            ended = list(crew.finished(seconds=1))
            for number, told in crew.told():
                if number in running:
                    course.tell(running[number].key, told)
            for number, found in ended:
                step = running.pop(number)
                walk.settle(step, found)
                course.end(step.key, seconds_of(found))
    except BaseException:
        crew.stop()
        raise
    finally:
        crew.leave()


def _submit(
    crew: Crew,
    waiting: list[Step],
    running: dict[int, Step],
    walk: Walk,
    make_task: MakeTask,
    course: Course,
) -> list[Step]:
    """Hand out what is ready, training before probes, and return what still waits."""
    still: list[Step] = []
    # A chain's next generation waits for training only, so probes may come later.
    for step in sorted(waiting, key=lambda step: step.stage not in TRAINING):
        if failed := walk.blocked_by(step):
            walk.skipped[step.key] = failed
            course.end(step.key)
        elif len(running) < crew.size and all(need in walk.outcomes for need in step.needs):
            running[crew.submit(make_task(step, walk.outcomes))] = step
            course.begin(step.key)
        else:
            still.append(step)
    return still


def seconds_of(found: Outcome | Exception) -> float | None:
    """What a step took; None of one that failed or was there already."""
    return found.seconds if isinstance(found, Outcome) and not found.reused else None
