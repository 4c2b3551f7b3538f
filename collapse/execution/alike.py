"""One way of measuring: a chain's values of a probe, and a report's, come from equal settings."""

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from collapse.errors import BadInput
from collapse.parameters.fields import identity_of
from collapse.parameters.study import StudyFile
from collapse.stages.plan import PROBE_DOORS
from collapse.tracking import metrics, runs

_PLACE = {"seed", "generation"}
Deviation = tuple[tuple[str, str], ...]
"""Settings, by name, in which a look differs from what the study file asks for."""


def displaced(chain_run: str, stage: str, generation: int, run: Any) -> str | None:
    """What a chain holds of a probe that was asked otherwise, in words; None where it holds none.

    Args:
        chain_run: the chain's run.
        stage: the probe.
        generation: where.
        run: the probe's new run.
    """
    held = runs.client().get_run(chain_run).data.tags.get(metrics.mirrored_tag(stage, generation))
    if stage not in PROBE_DOORS or held in {None, run.info.run_id}:
        return None
    known, new = runs.client().get_run(held).data.params, run.data.params
    asked = {name: new.get(name, "") for name in identity_of(PROBE_DOORS[stage]())}
    differ = dict(_deviation(known, asked))
    if not differ:
        return None
    there, here = (", ".join(f"{n}={p[n]}" for n in differ) for p in (differ, asked))
    return f"{there} there, {here} here"


def require_alike(
    study: StudyFile, stages: Sequence[Any], chains: Sequence[Any], generations: int
) -> None:
    """See that all chains of a study were looked at in one way by each of its probes.

    The settings may differ from the study file's, as long as all differ in the same way.

    Args:
        study: the study file, whose arms may have settings of their own.
        stages: runs of stages, those that the chains hold values of among them.
        chains: runs of its chains.
        generations: the last one that is compared.

    Raises:
        BadInput: two looks of one probe had different settings.
    """
    known = {run.info.run_id: run for run in stages}
    for stage in PROBE_DOORS:
        ways: dict[Deviation, list[str]] = defaultdict(list)
        for chain in chains:
            asked = identity_of(study.door(PROBE_DOORS[stage], {}, chain.data.tags["arm"]))
            for generation, run_id in metrics.mirrored(chain, stage):
                if generation <= generations and run_id in known:
                    deviation = tuple(_deviation(known[run_id].data.params, asked))
                    ways[deviation].append(f"{chain.info.run_name} generation {generation}")
        if len(ways) > 1:
            raise BadInput(_told(stage, ways))


def _deviation(params: Mapping[str, str], asked: Mapping[str, object]) -> Iterator[tuple[str, str]]:
    """The settings of a run that are not what is asked for, in the run's words.

    A setting that a run of older sources did not know tells nothing.
    """
    for name in sorted(asked.keys() - _PLACE):
        if params.get(name, str(asked[name])) != str(asked[name]):
            yield name, params[name]


def _told(stage: str, ways: Mapping[Deviation, Sequence[str]]) -> str:
    rarest_last = sorted(ways.items(), key=lambda item: -len(item[1]))
    parts = []
    for deviation, places in rarest_last:
        settings = ", ".join(f"{name}={value}" for name, value in deviation)
        more = f" and {len(places) - 1} more" if len(places) > 1 else ""
        parts.append(f"{settings or 'as the study file says'} ({places[0]}{more})")
    return (
        f"{stage} was asked in different ways, which cannot be compared: {'; '.join(parts)}: run "
        f"the study again, which takes up what was measured as it asks, or the door {stage} with "
        "rerun=true, or give other looks a name=NAME of their own"
    )
