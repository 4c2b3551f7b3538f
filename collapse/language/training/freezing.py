"""Weights that are left out of training, by parts of their names."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from torch import nn

from collapse.errors import BadModel, BadParameter
from collapse.language.presets import load_preset, preset_names


@contextmanager
def frozen(model: nn.Module, freeze: str) -> Iterator[None]:
    """Within the block, the weights that `freeze` names have requires_grad False.

    Optimizers built inside leave them out, so that neither a gradient nor weight decay moves them.
    Afterwards whatever was frozen here can be trained again: saved models are ordinary ones.

    Args:
        model: any module. A tied weight goes by each of its names.
        freeze: parts of parameter names separated by commas, empty for none.

    Raises:
        BadParameter: a part is in no parameter's name.
        BadModel: nothing is left to train.
    """
    chosen = [parameter for parameter in _chosen(model, freeze) if parameter.requires_grad]
    for parameter in chosen:
        parameter.requires_grad_(False)
    try:
        if freeze and not any(parameter.requires_grad for parameter in model.parameters()):
            raise BadModel(f"freeze={freeze} leaves no weight to train: name fewer")
        yield
    finally:
        for parameter in chosen:
            parameter.requires_grad_(True)


def check_freeze(preset: str, overrides: Mapping[str, Any], freeze: str) -> None:
    """See that a model has what is to be frozen, and something else, without its weights.

    Args:
        preset: a preset, or a folder with a model. A name on the hub is passed over: its training
            says the same when the model is there.
        overrides: changes to a preset's configuration.
        freeze: as for :func:`frozen`.

    Raises:
        BadParameter: a part is in no parameter's name.
        BadModel: nothing is left to train, or the folder's configuration cannot be read.
    """
    if preset in preset_names():
        model: nn.Module = load_preset(preset, device="meta", **overrides)
    elif Path(preset).expanduser().is_dir():
        model = _without_weights(Path(preset).expanduser())
    else:
        return
    with frozen(model, freeze):
        pass


def _chosen(model: nn.Module, freeze: str) -> list[nn.Parameter]:
    parts = freeze.split(",") if freeze else []
    by_name = dict(model.named_parameters(remove_duplicate=False))
    for part in parts:
        if not any(part in name for name in by_name):
            endings = dict.fromkeys(".".join(name.split(".")[-2:]) for name in by_name)
            raise BadParameter(
                f"freeze={freeze}: no weight of the model has {part!r} in its name; they end in "
                f"{', '.join(endings)}"
            )
    return [one for name, one in by_name.items() if any(part in name for part in parts)]


def _without_weights(folder: Path) -> nn.Module:
    from transformers import AutoConfig, AutoModelForCausalLM

    # Imported for its registration with the Auto classes.
    import collapse.language.model.decoder  # noqa: F401

    try:
        config = AutoConfig.from_pretrained(folder, local_files_only=True, trust_remote_code=False)
        with torch.device("meta"):
            return AutoModelForCausalLM.from_config(config, trust_remote_code=False)
    except Exception as error:  # of many unrelated classes, as in pretrained.py
        reason = " ".join(str(error).split())[:300]
        raise BadModel(f"model {str(folder)!r} cannot be loaded: {reason}") from error
