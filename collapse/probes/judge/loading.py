"""Judges by folder or name: one of ours, an encoder, or another language model."""

from pathlib import Path
from typing import Any

import torch

from collapse.errors import BadModel
from collapse.language.hub import from_folder_or_hub
from collapse.language.pretrained import WEIGHTS, check_judge, load_model
from collapse.probes.judge.model import Judge


def load_judge(name: str | Path, *, device: torch.device | str = "cpu") -> Judge:
    """A judge by folder or name on the hub: one of ours, an encoder, or another language model.

    Args:
        name: what the stage `judge` left, or any model that transformers' AutoModel knows with
            its tokenizer. No code from the folder or the hub is run.
        device: where the weights go.

    Raises:
        BadModel: there is no such model, or it cannot be loaded.
    """
    is_local = check_judge(str(name))
    source = str(Path(name).expanduser()) if is_local else str(name)
    body, tokenizer = _load(source, is_local=is_local)
    body.config.use_cache = False  # keys and values of a text are not needed again
    return Judge(str(name), body.to(device).eval(), tokenizer)


def _load(source: str, *, is_local: bool) -> tuple[Any, Any]:
    from transformers import AutoConfig, AutoModel, AutoTokenizer

    from collapse.language.model.decoder import DecoderConfig

    def read(local_files_only: bool) -> tuple[Any, Any, dict[str, Any]]:
        options: dict[str, Any] = {"local_files_only": local_files_only, "trust_remote_code": False}
        tokenizer = AutoTokenizer.from_pretrained(source, **options)
        config = AutoConfig.from_pretrained(source, **options)
        if config.model_type == DecoderConfig.model_type:
            return load_model(source).base_model, tokenizer, {"missing_keys": ()}
        model, report = AutoModel.from_pretrained(
            source,
            config=config,
            dtype=torch.float32,
            output_loading_info=True,
            use_safetensors=True,
            **options,
        )
        return model, tokenizer, report

    try:
        model, tokenizer, report = from_folder_or_hub(
            read, source, is_folder=is_local, any_of=WEIGHTS
        )
    except BadModel:
        raise
    # The libraries raise errors of many unrelated classes: their own, the hub's, safetensors'.
    except Exception as error:
        reason = " ".join(str(error).split())[:300]
        raise BadModel(f"judge {source!r} cannot be loaded: {reason}") from error
    # A pooler comes after the last hidden state, which is all that is asked for.
    missing = sorted(key for key in report["missing_keys"] if not key.startswith("pooler."))
    if missing:
        raise BadModel(
            f"judge {source!r}: the weights lack {missing[0]!r} and {len(missing) - 1} more; they "
            "would be random"
        )
    return (model.get_encoder() if model.config.is_encoder_decoder else model), tokenizer
