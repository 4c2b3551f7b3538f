"""Whether what a plan names can be had and goes together, seen before anything heavy is loaded."""

from difflib import get_close_matches
from pathlib import Path
from typing import Any

from collapse.errors import BadModel, BadParameter
from collapse.language.corpora.source import check_training_text
from collapse.language.presets import preset_config, preset_names, preset_settings
from collapse.language.pretrained import check_judge, check_model, content_digest
from collapse.language.task_rows import check_items, chosen_tasks
from collapse.language.tokenizer import KINDS, check_tokenizer, check_vocabulary
from collapse.parameters.doors import Baseline, Benchmark, Hessian, Mechanism, RecurseStep, Surgery
from collapse.parameters.fields import default_of, parameter_fields
from collapse.parameters.groups import Training
from collapse.parameters.overrides import read_overrides
from collapse.parameters.study import StudyFile
from collapse.stages.plan import Plan
from collapse.stages.schedule import planned_points

_WARMUP = default_of(parameter_fields(Training)["warmup_steps"])


def check_settings(parameters: Any) -> None:
    """See that the settings of one step go together.

    Raises:
        BadParameter: they do not.
    """
    if hasattr(parameters, "preset"):
        check_lengths(parameters)
        check_training_text(parameters.corpus, parameters.training_text)
        check_decoding(parameters)
    if isinstance(parameters, Baseline):
        planned_points(parameters)
        check_warmup(parameters.warmup_steps, baseline_steps=parameters.baseline_steps)
    if isinstance(parameters, RecurseStep):
        check_warmup(parameters.warmup_steps, steps=parameters.steps)
    check_probe(parameters)


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


def check_teacher(name: str, study: StudyFile) -> None:
    """See that a teacher that is no arm of the study is a model that can be had.

    Raises:
        BadModel: it is not.
    """
    near = None if Path(name).exists() else get_close_matches(name, study.arms, n=1, cutoff=0.7)
    if near:
        raise BadModel(f"teacher={name} is no arm of {study.name}: did you mean {near[0]}?")
    check_model(name)


def tokenizers_named(plan: Plan) -> dict[str, str]:
    """Digests of the tokenizers that are not trained here.

    Raises:
        BadModel: there is no such tokenizer; of a model without one it is said so.
        BadParameter: one that is to be trained here cannot have so few entries.
    """
    models = {getattr(step.parameters, "preset", None) for step in plan.steps}
    named: dict[str, str] = {}
    for parameters in (step.parameters for step in plan.steps if step.stage == "prepare"):
        name = parameters.tokenizer
        if name in KINDS:
            check_vocabulary(name, parameters.vocabulary_size)
        elif name not in named:
            try:
                check_tokenizer(name)
            except BadModel as error:
                if name not in models:
                    raise
                raise BadModel(
                    f"{error} (it was looked for because model {name!r} should have its own: give "
                    "another by tokenizer=PATH)"
                ) from None
            named[name] = content_digest(name)
    return named


def check_shapes(plan: Plan) -> None:
    """See that every preset can be built with the changes that are asked for.

    Raises:
        BadModel: its widths do not divide, or a value is unknown.
        BadParameter: its vocabulary is smaller than that of the tokenizer that is trained for it.
    """
    every = [step.parameters for step in plan.steps if hasattr(step.parameters, "preset")]
    changed = {
        (p.preset, p.preset_overrides, p.vocabulary_size if p.tokenizer == "bpe" else 0)
        for p in every
        if p.preset_overrides
    }
    for preset, overrides, entries in sorted(changed):
        values = read_overrides(overrides)
        preset_config(preset, **values)
        if values.get("vocab_size", entries) < entries:
            raise BadParameter(
                f"preset_overrides={overrides!r} asks for fewer entries than the tokenizer has, "
                f"vocabulary_size={entries}: leave vocab_size out"
            )


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
    """See that the steps suffice, and that a peer's package can do what is asked for.

    Raises:
        BadParameter: it cannot.
    """
    if parameters.outliers >= parameters.lanczos_steps:
        raise BadParameter(
            f"outliers={parameters.outliers} cannot be told apart in "
            f"lanczos_steps={parameters.lanczos_steps}: ask for fewer, or for more steps"
        )
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
    if beams > 1 and parameters.decodings:
        raise BadParameter(
            f"beams={beams} is a search and draws nothing, and decodings={parameters.decodings} "
            "draws: leave one of them out"
        )


def check_warmup(warmup_steps: int, **training: int) -> None:
    """See that the learning rate comes to its peak before training ends.

    A warmup that nobody chose passes: who tries a few steps need not think of it.

    Raises:
        BadParameter: it does not.
    """
    for name, steps in training.items():
        if warmup_steps > steps and warmup_steps != _WARMUP:
            raise BadParameter(
                f"warmup_steps={warmup_steps} is longer than {name}={steps}: the learning rate "
                "would never come to its peak; lower it"
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
