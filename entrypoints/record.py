"""What a study's chains measured, as the analysis wants it: plain tables and plain values."""

import shlex
from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

import pandas as pd

from analysis.origins.passed_on import passed_on
from analysis.ranks import RankTables
from analysis.spectra.figures import chain_evolution
from analysis.spectra.indicators import negative_masses, with_negative_masses
from analysis.study import StudyRecord
from collapse.errors import BadInput
from collapse.execution.alike import require_alike
from collapse.execution.prepared import Prepared
from collapse.figures import png_bytes
from collapse.parameters.doors import Report
from collapse.parameters.fields import parameter_fields
from collapse.parameters.groups import First, Model, Training
from collapse.parameters.pairing import changed_arms, own_controls
from collapse.parameters.study import StudyFile
from collapse.stages.dynamics import metric_name
from collapse.tracking import claims, reader, runs, seals
from collapse.tracking.metrics import keep_study_metrics
from collapse.tracking.reports import log_picture


def study_record(prepared: Prepared, parameters: Any) -> StudyRecord:
    """What the analysis is handed: plain tables, and what the study file says."""
    study, plan = prepared.study, prepared.plan
    chains = chains_of(prepared)
    if not chains:
        raise BadInput(
            f"the store holds no chain of {plan.experiment!r} with these settings: "
            "run the study first (mlflow run . , or python -m entrypoints.experiment)"
        )
    stages = runs.find_runs(plan.experiment, {"run_kind": "stage"})
    seals.require_records(chains, stages)
    require_alike(study, stages, chains, parameters.generations)
    spectra, outliers = reader.spectra(chains)
    measured = reader.measurements(chains)
    recipes = {chain.arm: chain.recipe for chain in plan.chains}
    record = StudyRecord(
        name=plan.experiment,
        question=study.question,
        control_arm=study.control,
        arms=tuple(dict.fromkeys(chain.arm for chain in plan.chains)),
        seeds=tuple(dict.fromkeys(chain.seed for chain in plan.chains)),
        generations=parameters.generations,
        settings=asdict(parameters) | {"commands": commands(study, parameters)},
        claims=study.claims,
        claims_hash=claims.fixed_claims(plan.experiment),
        claims_changed=claims.fixed_claims(plan.experiment) not in {"", study.claims_hash},
        measurements=measured,
        samples=reader.samples(chains),
        runs=reader.stage_runs(stages, chains),
        spectra=spectra,
        outliers=outliers,
        ranks=rank_tables(chains),
        dynamics=dynamics(chains, parameters.tokens_per_step),
        origins=origins(chains, measured, plan.chains),
        completions=reader.stage_table(chains, "quality", "completions.jsonl"),
        kinds={arm: recipe.kind for arm, recipe in recipes.items()},
        arm_settings={arm: training_settings(recipe) for arm, recipe in recipes.items()},
        starts={arm: recipe.start for arm, recipe in recipes.items()},
        returns=returns(plan.chains),
        changes=changed_arms(recipes, study.control),
        controls=own_controls(recipes, study.control),
        arm_seeds=Counter(chain.arm for chain in plan.chains),
    )
    keep_study_metrics(chains, negative_masses(record))
    return with_negative_masses(record)


def dynamics(chains: list[Any], tokens_per_step: int) -> pd.DataFrame:
    """What `benchmark` found at weights kept on the way: arm, seed, step, metric, value."""
    table = reader.stage_table(chains, "benchmark", "dynamics.csv")
    if table.empty:
        return table
    names = [metric_name(*row) for row in zip(table["task"], table["metric"], strict=True)]
    table = table.assign(metric=names, step=table["tokens"] / tokens_per_step)
    return table[["arm", "seed", "step", "metric", "value"]]


def origins(chains: list[Any], measured: pd.DataFrame, planned: Sequence[Any]) -> pd.DataFrame:
    """What the texts that generations read had lost of the truth, where that can be known.

    Not of arms whose texts are not drawn as `quality` draws: several decodings, sifted texts, or
    human text that is a choice of all.
    """
    scores = reader.stage_table(chains, "quality", "origins.csv")
    read = reader.stage_table(chains, "quality", "origins_read.csv")
    plain = [chain.arm for chain in planned if _draws_plainly(chain.recipe)]
    if scores.empty or read.empty:
        return pd.DataFrame()
    return passed_on(scores[scores["arm"].isin(plain)], read, measured)


def _draws_plainly(recipe: Any) -> bool:
    return (recipe.decodings, recipe.keep_texts, recipe.training_text) == ("", "all", "all")


def returns(planned: Sequence[Any]) -> dict[str, int]:
    """The arms that go back to human text, with the first generation that does."""
    return {chain.arm: chain.recipe.human_from for chain in planned if chain.recipe.human_from}


def training_settings(recipe: Any) -> dict[str, Any]:
    """What generation 0 of an arm is trained with, by the names of its settings."""
    names = [name for group in (Model, First, Training) for name in parameter_fields(group)]
    return {name: getattr(recipe, name) for name in names}


def rank_tables(chains: list[Any]) -> RankTables:
    """What `svd_probe` and `surgery` left of every head."""
    values = reader.stage_table(chains, "svd_probe", "singular_values.parquet")
    if not values.empty:
        ends = values.groupby(["arm", "seed", "generation"])["tokens"].transform
        at_an_end = (values["tokens"] == ends("min")) | (values["tokens"] == ends("max"))
        values = values[values["which"].isin(["K", "W_k"]) & at_an_end]
    return RankTables(
        ranks=reader.stage_table(chains, "svd_probe", "head_ranks.csv"),
        losses=reader.stage_table(chains, "svd_probe", "trajectory.csv"),
        singular_values=values,
        gains=reader.stage_table(chains, "svd_probe", "gain_pairs.csv"),
        surgery=reader.stage_table(chains, "surgery", "surgery.csv"),
    )


def chains_of(prepared: Prepared) -> list[Any]:
    """The runs of the chains that the store holds."""
    plan = prepared.plan
    tags = {chain.name: prepared.chain_tags(chain)["fingerprint"] for chain in plan.chains}
    return list(reader.chain_runs(plan.experiment, tags).values())


def keep_evolutions(prepared: Prepared, record: StudyRecord) -> None:
    """Put on every chain's run the picture of its spectra over the generations."""
    for run in chains_of(prepared):
        arm, seed = run.data.tags["arm"], int(run.data.tags["seed"])
        if figure := chain_evolution(record, arm, seed):
            log_picture(run, "hessian_evolution.png", png_bytes(figure))


def commands(study: StudyFile, parameters: Any) -> list[str]:
    """How to run the study again: what differs from the study file is spelled out."""
    plain = study.door(type(parameters), {"study": parameters.study, "scale": parameters.scale})
    differs = {k: v for k, v in asdict(parameters).items() if v != getattr(plain, k)}
    named = {"study": parameters.study}
    if parameters.scale != "full":
        named["scale"] = parameters.scale
    given = {
        key: shlex.quote(f"{key}={_as_text(value)}") for key, value in (named | differs).items()
    }
    project, known = "mlflow run . --env-manager local", parameter_fields(Report)
    return [
        " ".join([project, *(f"-P {word}" for word in given.values())]),
        " ".join([project, "-e report", *(f"-P {w}" for key, w in given.items() if key in known)]),
    ]


def _as_text(value: Any) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)
