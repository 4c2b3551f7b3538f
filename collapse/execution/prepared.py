"""A plan made ready to run: fingerprinted, its corpora and its model looked at; nothing heavy."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from collapse.execution.checks import (
    check_frozen,
    check_preset,
    check_settings,
    check_shapes,
    check_teacher,
    items_named,
    judges_named,
    tokenizers_named,
)
from collapse.language.corpora.source import corpus_fingerprint
from collapse.language.presets import preset_names
from collapse.language.pretrained import content_digest
from collapse.parameters.study import StudyFile
from collapse.stages.fingerprint import chain_fingerprint, fingerprints
from collapse.stages.plan import Chain, Plan, merge_equal


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
    looked_at: set[tuple[str, int]] = set()
    for step in plan.steps:
        parameters = step.parameters
        read = (parameters.corpus, parameters.corpus_documents)
        if read not in looked_at:
            looked_at.add(read)
            contents[parameters.corpus] = corpus_fingerprint(read[0], limit=read[1] or None)
        if hasattr(parameters, "preset"):
            check_preset(parameters.preset, parameters.preset_overrides)
            if parameters.preset not in {*preset_names(), *contents}:
                contents[parameters.preset] = content_digest(parameters.preset)
            if parameters.teacher not in {"", *study.arms, *contents}:
                check_teacher(parameters.teacher, study)
                contents[parameters.teacher] = content_digest(parameters.teacher)
        check_settings(parameters)
    # A model is looked at before the tokenizer that goes by its name.
    contents |= tokenizers_named(plan) | judges_named(plan) | items_named(plan)
    # What follows needs torch; by now nothing is left to be refused quickly.
    check_shapes(plan)
    check_frozen(plan)
    from collapse.stages.device import where_bits_come_from

    where = where_bits_come_from(plan.steps[0].parameters.device)
    known = fingerprints(plan, contents, where)
    return Prepared(study, merge_equal(plan, known), known, contents, where)
