"""Any Hugging Face causal language model, from a local folder or from the hub."""

from __future__ import annotations

import hashlib
import importlib.util
import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

from collapse.errors import BadModel
from collapse.language.checkpoint import is_local_model
from collapse.language.hub import from_folder_or_hub, require_hub_access

if TYPE_CHECKING:
    import torch
    from transformers import PretrainedConfig, PreTrainedModel

WEIGHTS = ("*.safetensors",)
"""Of what is loaded; a pickle, which can run code when it is read, never is."""
_LARGEST_HEADER_BYTES = 100_000_000
_PICKLES = ("*.bin", "*.pt", "*.pth", "*.ckpt", "*.pkl")
_WANTED = "give a folder with config.json and *.safetensors"
_OWN_TYPE = "collapse_decoder"


def load_model(
    name_or_path: str | Path,
    *,
    dtype: torch.dtype | None = None,
    device: str | torch.device = "cpu",
) -> PreTrainedModel:
    """A causal language model in evaluation mode.

    No code from a model's folder or from the hub is run: the decoder of this project is known here.

    Args:
        name_or_path: a folder with a configuration and weights, or a name on the hub.
        dtype: of the weights; float32 where None, whatever they were saved in.
        device: where the weights go.

    Raises:
        BadModel: no such folder, a folder without configuration or safetensors, a name that
            neither the local cache nor the hub can give, a model that needs code of its own, or
            one that is not a causal language model.
    """
    name = str(name_or_path)
    is_local = check_model(name)
    return _load(name, is_local=is_local, dtype=dtype, device=device)


def check_model(name: str) -> bool:
    """See that a model can be had, in two seconds and without loading anything heavy.

    Returns:
        True for a local folder, False for a name on the hub.

    Raises:
        BadModel: as for :func:`load_model`, as far as it shows before the weights are read.
    """
    is_local = _is_folder(name)
    if is_local:
        folder = Path(name).expanduser()
        config = _read_config(folder)
        _require_known_code(name, config)
        _require_causal(name, list(config.get("architectures") or []))
        _require_whole(name, folder)
    else:
        require_hub_access(name, kind="model", any_of=WEIGHTS)
    return is_local


def check_judge(name: str) -> bool:
    """See that a judge can be had, in two seconds and without loading anything heavy.

    Returns:
        True for a local folder, False for a name on the hub.

    Raises:
        BadModel: no such folder, a folder without configuration or weights, or a name that neither
            the local cache nor the hub can give.
    """
    folder = Path(name).expanduser()
    if is_local_model(folder):
        _require_known_code(name, _read_config(folder))
        _require_whole(name, folder)
        return True
    if folder.exists():
        _refuse_pickles("judge", name, folder)
        raise BadModel(f"judge {name!r}: {_WANTED}")
    if not name or name.startswith((".", "/", "~")):
        raise BadModel(f"judge {name!r}: there is no such folder: {_WANTED}")
    require_hub_access(name, kind="model", any_of=WEIGHTS)
    return False


def content_digest(name: str) -> str:
    """A word for what a model's or tokenizer's name stands for, that changes with its content.

    Args:
        name: a folder of a model or a tokenizer; or a preset, a kind, a name on the hub.

    Returns:
        For a local folder the SHA-256 hex digest over the names and bytes of its files (hidden ones
        and ``__pycache__`` left out), wherever the folder lies; for anything else the name itself.

    Raises:
        BadModel: a file cannot be read.
    """
    folder = Path(name).expanduser()
    if not name or not folder.is_dir():  # Path("") is the working folder
        return name
    sums = {}
    try:
        for path in folder.rglob("*"):
            place = path.relative_to(folder)
            if path.is_file() and not any(_is_aside(part) for part in place.parts):
                with path.open("rb") as file:
                    sums[place.as_posix()] = hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as error:
        raise BadModel(f"{name!r}: {error.filename} cannot be read: {error.strerror}") from error
    return hashlib.sha256(json.dumps(sums, sort_keys=True).encode()).hexdigest()


def _is_aside(part: str) -> bool:
    return part.startswith(".") or part == "__pycache__"


def _is_folder(name: str) -> bool:
    """True for a usable model folder, False for what has the form of a name on the hub."""
    folder = Path(name).expanduser()
    if folder.is_dir():
        if is_local_model(folder):
            return True
        _refuse_pickles("model", name, folder)
        has_config = (folder / "config.json").is_file()
        missing = "weights (*.safetensors)" if has_config else "config.json"
        raise BadModel(f"model {name!r}: the folder has no {missing}: {_WANTED}")
    if folder.is_file():
        raise BadModel(f"model {name!r} is a file; give the folder that holds config.json")
    if not name or name.startswith((".", "/", "~")) or name.count("/") > 1:
        raise BadModel(f"model {name!r}: there is no such folder: {_WANTED}")
    return False


def _refuse_pickles(kind: str, name: str, folder: Path) -> None:
    """Say it where all that a folder lacks is another format of its weights."""
    pickles = sorted(path.name for pattern in _PICKLES for path in folder.glob(pattern))
    if pickles and not any(folder.glob(WEIGHTS[0])):
        raise BadModel(
            f"{kind} {name!r} has its weights in {pickles[0]}, a pickle, which can run code when "
            "it is read: save it as safetensors where you trust it (save_pretrained of "
            "transformers does), and give that folder"
        )


def _read_config(folder: Path) -> dict[str, Any]:
    try:
        config = json.loads((folder / "config.json").read_text(encoding="utf-8"))
        if not isinstance(config, dict):
            raise TypeError("it is no table of settings")
    except (OSError, ValueError, TypeError, RecursionError) as error:
        raise BadModel(f"model {str(folder)!r}: config.json cannot be read ({error})") from error
    return config


def _require_known_code(name: str, config: dict[str, Any]) -> None:
    """Refuse a model that only code of its own could build: none of that is ever run."""
    kind = config.get("model_type")
    if not config.get("auto_map") or kind == _OWN_TYPE:
        return
    package = importlib.util.find_spec("transformers")
    homes = package.submodule_search_locations if package else None
    folder = str(kind).replace("-", "_")
    if homes and not (folder.isidentifier() and Path(homes[0], "models", folder).is_dir()):
        raise BadModel(
            f"model {name!r} (model_type {kind!r}) comes with code of its own, which is not run: "
            "give a model that transformers knows"
        )


def _require_whole(name: str, folder: Path) -> None:
    """Refuse weights that were cut short: their header says how much should follow."""
    for path in sorted(folder.glob(WEIGHTS[0])):
        if reason := _what_is_wrong(path):
            raise BadModel(f"model {name!r}: {path.name} is damaged ({reason}): copy it again")


def _what_is_wrong(weights: Path) -> str | None:
    """Why a safetensors file cannot be whole, read from its header alone."""
    try:
        with weights.open("rb") as file:
            length = int.from_bytes(file.read(8), "little")
            rest = weights.stat().st_size - 8 - length
            if not 2 <= length <= _LARGEST_HEADER_BYTES or rest < 0:
                return "it has no header"
            header = json.loads(file.read(length))
        header.pop("__metadata__", None)
        needed = max((one["data_offsets"][1] for one in header.values()), default=0)
    except OSError as error:
        return error.strerror or str(error)
    except (ValueError, AttributeError, TypeError, KeyError, IndexError, RecursionError):
        return "its header is not that of a safetensors file"
    return None if needed <= rest else f"{needed - rest} bytes are missing"


def _require_causal(name: str, architectures: list[str]) -> None:
    """Refuse what says it is something else.

    transformers would load a BERT as a causal model with a head that is new and random.
    """
    causal = ("ForCausalLM", "LMHeadModel")
    if architectures and not any(a.endswith(causal) for a in architectures):
        raise BadModel(
            f"model {name!r} is a {architectures[0]}, not a causal language model (…ForCausalLM)"
        )


def _require_decoder(name: str, config: PretrainedConfig) -> None:
    """Refuse an encoder that transformers would wrap as ``BertLMHeadModel``, without a mask.

    Where the folder says ForCausalLM that is believed: GPT-NeoX has is_decoder=False all the same.
    """
    says_causal = any(a.endswith("ForCausalLM") for a in config.architectures or [])
    if getattr(config, "is_decoder", True) is False and not says_causal:
        raise BadModel(
            f"model {name!r} is an encoder ({config.model_type}, is_decoder=False), not a causal "
            "language model"
        )


def _load(
    name: str, *, is_local: bool, dtype: torch.dtype | None, device: str | torch.device
) -> PreTrainedModel:
    import torch
    from transformers import AutoConfig, AutoModelForCausalLM

    # Imported for its registration with the Auto classes.
    import collapse.language.model.decoder  # noqa: F401

    source = str(Path(name).expanduser()) if is_local else name

    def read(local_files_only: bool) -> tuple[PreTrainedModel, dict[str, Any]]:
        options: dict[str, Any] = {"local_files_only": local_files_only, "trust_remote_code": False}
        config = AutoConfig.from_pretrained(source, **options)
        _require_causal(name, list(config.architectures or []))
        _require_decoder(name, config)
        return AutoModelForCausalLM.from_pretrained(
            source,
            config=config,
            dtype=dtype or torch.float32,
            use_safetensors=True,
            output_loading_info=True,
            **options,
        )

    try:
        model, report = from_folder_or_hub(read, name, is_folder=is_local, any_of=WEIGHTS)
    except BadModel:
        raise
    # The library raises errors of many unrelated classes: its own, the hub's, safetensors'.
    except Exception as error:
        reason = " ".join(str(error).split())[:300]
        raise BadModel(f"model {name!r} cannot be loaded: {reason}") from error
    if report["missing_keys"]:
        raise BadModel(
            f"model {name!r}: the weights lack {sorted(report['missing_keys'])[0]!r} and "
            f"{len(report['missing_keys']) - 1} more; they would be random"
        )
    return model.to(device).eval()
