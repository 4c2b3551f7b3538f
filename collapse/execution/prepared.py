"""A plan made ready to run: fingerprinted, its corpora and its model looked at; nothing heavy."""

from collections.abc import Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from pathlib import Path
from typing import Any

from collapse.language.corpora.source import corpus_fingerprint
from collapse.language.presets import preset_names, preset_settings
from collapse.language.pretrained import check_model
from collapse.parameters.overrides import read_overrides
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
        corpora: corpus as named in the parameters, to the digest of its text.
    """

    study: StudyFile
    plan: Plan
    fingerprints: Mapping[str, str]
    corpora: Mapping[str, str]

    def chain_tags(self, chain: Chain) -> dict[str, Any]:
        """Tags of a chain's run; it has neither stage nor generation."""
        return {
            "study": self.study.name,
            "arm": chain.arm,
            "seed": chain.seed,
            "chain": chain.name,
            "fingerprint": chain_fingerprint(chain, self.corpora),
            "claims_hash": self.study.claims_hash,
            "control": self.study.control,
        }


def prepare_plan(study: StudyFile, plan: Plan) -> Prepared:
    """Fingerprint a plan; the corpora are looked at here, before anything is loaded.

    Raises:
        BadCorpus: a corpus is missing, empty or out of reach.
        BadModel: no such preset or model.
    """
    names = {step.parameters.corpus for step in plan.steps}
    corpora = {name: corpus_fingerprint(name) for name in sorted(names)}
    for step in plan.steps:
        if hasattr(step.parameters, "preset"):
            check_preset(step.parameters.preset, step.parameters.preset_overrides)
    known = fingerprints(plan, corpora)
    return Prepared(study, merge_equal(plan, known), known, corpora)


def check_preset(preset: str, overrides: str) -> None:
    """See that a preset, or a pretrained model, can be had, before anything heavy is loaded.

    Raises:
        BadModel: no such preset, override, folder or hub name.
    """
    misspelt = not Path(preset).exists() and get_close_matches(preset, preset_names(), cutoff=0.7)
    if preset in preset_names() or misspelt:
        preset_settings(preset, **read_overrides(overrides))
    else:
        check_model(preset)
