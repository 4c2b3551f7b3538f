"""A plan made ready to run: fingerprinted, its corpora and its model looked at; nothing heavy."""

from collections.abc import Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from pathlib import Path
from typing import Any

from collapse.errors import BadParameter
from collapse.language.corpora.source import check_training_text, corpus_fingerprint
from collapse.language.presets import preset_names, preset_settings
from collapse.language.pretrained import check_judge, check_model, content_digest
from collapse.language.task_rows import check_items, chosen_tasks
from collapse.language.tokenizer import check_tokenizer
from collapse.parameters.doors import Benchmark, Hessian, Mechanism, Surgery
from collapse.parameters.overrides import read_overrides
from collapse.parameters.study import StudyFile
from collapse.stages.fingerprint import chain_fingerprint, fingerprints
from collapse.stages.plan import Chain, Plan, merge_equal
from collapse.stages.schedule import planned_points


@dataclass(frozen=True)
class Prepared:
    """A plan with the fingerprints of its steps and its corpora.

    Attributes:
        study: the study file.
        plan: steps, each fingerprint once.
        fingerprints: by step key.
        contents: corpora, models and tokenizers as named, to the digest of what they stand for.
        where: device and versions of libraries.
    """

    study: StudyFile
    plan: Plan
    fingerprints: Mapping[str, str]
    contents: Mapping[str, str]
    where: str

    def chain_tags(self, chain: Chain) -> dict[str, Any]:
        """Tags of a chain's run; it has neither stage nor generation."""
        return {
            "study": self.study.name,
            "arm": chain.arm,
            "seed": chain.seed,
            "chain": chain.name,
            "fingerprint": chain_fingerprint(chain, self.contents, self.where),
            "claims_hash": self.study.claims_hash,
            "control": self.study.control,
        }


def prepare_plan(study: StudyFile, plan: Plan) -> Prepared:
    """Check and fingerprint a plan; whatever it names is looked at before anything is loaded.

    Raises:
        BadCorpus: a corpus is missing, empty or out of reach.
        BadModel: no such preset, model or tokenizer.
        BadParameter: settings that do not go together.
    """
    contents: dict[str, str] = {}
    for step in plan.steps:
        parameters = step.parameters
        if parameters.corpus not in contents:
            contents[parameters.corpus] = corpus_fingerprint(parameters.corpus)
        if step.stage == "prepare" and parameters.tokenizer not in {"bpe", "characters", *contents}:
            check_tokenizer(parameters.tokenizer)
            contents[parameters.tokenizer] = content_digest(parameters.tokenizer)
        if hasattr(parameters, "preset"):
            check_preset(parameters.preset, parameters.preset_overrides)
            if parameters.preset not in {*preset_names(), *contents}:
                contents[parameters.preset] = content_digest(parameters.preset)
            check_lengths(parameters)
            check_training_text(parameters.corpus, parameters.training_text)
            check_decoding(parameters)
            if parameters.teacher not in {"", *study.arms, *contents}:
                check_model(parameters.teacher)
                contents[parameters.teacher] = content_digest(parameters.teacher)
        if step.stage == "baseline":
            planned_points(parameters)
        check_probe(parameters)
    contents |= judges_named(plan) | items_named(plan)
    # What follows needs torch; by now nothing is left to be refused quickly.
    check_frozen(plan)
    from collapse.stages.device import where_bits_come_from

    where = where_bits_come_from(plan.steps[0].parameters.device)
    known = fingerprints(plan, contents, where)
    return Prepared(study, merge_equal(plan, known), known, contents, where)


def check_preset(preset: str, overrides: str) -> None:
    """See that a preset, or a pretrained model, can be had, before anything heavy is loaded.

    Raises:
        BadModel: no such preset, override, folder or hub name.
    """
    misspelt = not Path(preset).exists() and get_close_matches(preset, preset_names(), cutoff=0.7)
    if preset in preset_names() or misspelt:
        preset_settings(preset, **read_overrides(overrides))
    elif overrides:
        raise BadParameter(
            f"preset_overrides={overrides!r} changes presets, and {preset!r} is a pretrained model"
        )
    else:
        check_model(preset)


def check_frozen(plan: Plan) -> None:
    """See that every model has the weights that are not to be trained, and others.

    Raises:
        BadParameter: it has none of such a name.
        BadModel: it has no others.
    """
    every = [step.parameters for step in plan.steps if getattr(step.parameters, "freeze", "")]
    for preset, overrides, freeze in {(p.preset, p.preset_overrides, p.freeze) for p in every}:
        from collapse.language.training.freezing import check_freeze

        check_freeze(preset, read_overrides(overrides), freeze)


def check_probe(parameters: Any) -> None:
    """See that a probe can look as it is asked to; the parameters of any other door pass.

    Raises:
        BadParameter: it cannot.
    """
    if isinstance(parameters, Surgery):
        check_surgery(parameters)
    if isinstance(parameters, Hessian | Mechanism):
        check_loss_batch(parameters)
    if isinstance(parameters, Hessian):
        check_curvature(parameters)


def check_surgery(parameters: Surgery) -> None:
    """See that a preset has the gains or the norm that pruning is to use.

    Raises:
        BadParameter: it has not.
    """
    if parameters.preset not in preset_names():
        return
    overrides = read_overrides(parameters.preset_overrides)
    if preset_settings(parameters.preset, **overrides).get("qk_norm"):
        return
    asked = {
        f"prune_by={parameters.prune_by}": "gamma" in parameters.prune_by,
        f"prune_at={parameters.prune_at}": parameters.prune_at in {"rescaled", "after_norm"},
    }
    for name in (name for name, wanted in asked.items() if wanted):
        raise BadParameter(
            f"{name} needs a norm on the keys, and {parameters.preset} has none here: "
            "give preset_overrides=qk_norm=true, or leave it at auto"
        )


def check_loss_batch(parameters: Hessian | Mechanism) -> None:
    """See that a probe batch has a row.

    Raises:
        BadParameter: it has not.
    """
    if parameters.probe_tokens < parameters.sequence_length:
        raise BadParameter(
            f"probe_tokens={parameters.probe_tokens} is less than one sequence of "
            f"sequence_length={parameters.sequence_length} tokens"
        )


def check_curvature(parameters: Hessian) -> None:
    """See that a peer's package can do what is asked for.

    Raises:
        BadParameter: it cannot.
    """
    if parameters.backend == "pyhessian":
        asked = {
            "operator": parameters.operator != "hessian",
            "layer_spectra": parameters.layer_spectra,
            "overlap": parameters.overlap,
        }
        for name in (name for name, wanted in asked.items() if wanted):
            value = str(getattr(parameters, name)).lower()
            raise BadParameter(f"{name}={value} is not for backend=pyhessian: use backend=lanczos")


def judges_named(plan: Plan) -> dict[str, str]:
    """Digests of the judges that steps name by path or hub name.

    Raises:
        BadModel: there is no such judge.
    """
    named = {
        getattr(step.parameters, "judge", "own") for step in plan.steps if step.stage == "quality"
    }
    for name in named - {"own", "none"}:
        check_judge(name)
    return {name: content_digest(name) for name in named - {"own", "none"}}


def items_named(plan: Plan) -> dict[str, str]:
    """Digests of the items that steps ask a model.

    Raises:
        BadParameter: there is no such task.
        BadCorpus: its items cannot be had.
    """
    asked = {
        (step.parameters.tasks, step.parameters.task_data)
        for step in plan.steps
        if isinstance(step.parameters, Benchmark)
    }
    return {
        f"{tasks} of {task_data}": check_items(chosen_tasks(tasks), task_data)
        for tasks, task_data in asked
    }


def check_decoding(parameters: Any) -> None:
    """See that a beam search is asked for without randomness.

    Raises:
        BadParameter: it is not.
    """
    beams = getattr(parameters, "beams", 1)
    if beams > 1 and parameters.temperature > 0:
        raise BadParameter(
            f"beams={beams} is a search and draws nothing: it needs temperature=0, not "
            f"{parameters.temperature:g}"
        )


def check_lengths(parameters: Any) -> None:
    """See that a step is a whole number of sequences, and a sequence fits a preset's context.

    Raises:
        BadParameter: it is not, or does not.
    """
    length, tokens = parameters.sequence_length, parameters.tokens_per_step
    if tokens % length:
        raise BadParameter(
            f"tokens_per_step={tokens} is no multiple of sequence_length={length}: "
            f"{tokens // length * length or length} would be"
        )
    if parameters.preset in preset_names():
        overrides = read_overrides(parameters.preset_overrides)
        context = preset_settings(parameters.preset, **overrides)["max_position_embeddings"]
        if length > context:
            raise BadParameter(
                f"sequence_length={length} is longer than the context of {parameters.preset}, "
                f"{context} tokens: lower it, or raise max_position_embeddings by preset_overrides"
            )
