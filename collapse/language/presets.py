"""Named model shapes, with the parameter counts that the studies state.

Importing this module loads neither torch nor transformers: names and overrides are checked before
anything heavy is loaded.
"""

from __future__ import annotations

import difflib
import math
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from collapse.errors import BadModel

if TYPE_CHECKING:
    import torch
    from transformers import PreTrainedModel

    from collapse.language.model.decoder import DecoderConfig, DecoderForCausalLM

_CODE: dict[str, Any] = {
    "vocab_size": 50_257,
    "hidden_size": 256,
    "intermediate_size": 768,
    "num_hidden_layers": 4,
    "num_attention_heads": 8,
    "max_position_embeddings": 256,
    "feed_forward": "gelu",
    "tie_word_embeddings": False,
}


def _tiny(width: int, layers: int, heads: int, inner: int) -> dict[str, Any]:
    """A shape of the scaling study; its vocabulary is the corpus's own where one is named."""
    return {
        "vocab_size": 49_152,
        "hidden_size": width,
        "intermediate_size": inner,
        "num_hidden_layers": layers,
        "num_attention_heads": heads,
        "max_position_embeddings": 1024,
        "feed_forward": "gelu",
    }


def _closed_form(width: int) -> dict[str, Any]:
    """A shape whose weights are not trained but estimated; see `language/learners`."""
    return {
        "vocab_size": 1024,
        "hidden_size": width,
        "intermediate_size": 1,
        "num_hidden_layers": 1,
        "num_attention_heads": 1,
        "max_position_embeddings": 512,
        "positions": "learned",
        "tie_word_embeddings": False,
    }


# What a preset leaves out is the configuration's default: RMSNorm, rotary positions, tied
# embeddings, as many key-value heads as heads, no QK-norm.
_PRESETS: Mapping[str, Mapping[str, Any]] = {
    "pocket": {
        "vocab_size": 1024,
        "hidden_size": 128,
        "intermediate_size": 512,
        "num_hidden_layers": 2,
        "num_attention_heads": 4,
        "max_position_embeddings": 256,
        "feed_forward": "gelu",
    },
    # Half as wide: it learns the stories of one plot in seconds.
    "thimble": {
        "vocab_size": 768,
        "hidden_size": 64,
        "intermediate_size": 256,
        "num_hidden_layers": 2,
        "num_attention_heads": 4,
        "max_position_embeddings": 256,
        "feed_forward": "gelu",
    },
    "llama-102m": {
        "vocab_size": 50_257,
        "hidden_size": 512,
        "intermediate_size": 2048,
        "num_hidden_layers": 12,
        "num_attention_heads": 8,
        "max_position_embeddings": 512,
        "feed_forward": "swiglu",
        "norm": "layer",
        "norm_eps": 1e-5,
        "positions": "learned",
        "tie_word_embeddings": False,
    },
    "code-28m": _CODE,
    "code-char": _CODE | {"vocab_size": 244},
    "qknorm-88m": {
        "vocab_size": 49_152,
        "hidden_size": 512,
        "intermediate_size": 2048,
        "num_hidden_layers": 22,
        "num_attention_heads": 8,
        "num_key_value_heads": 4,
        "max_position_embeddings": 1024,
        "feed_forward": "relu2",
        "qk_norm": True,
    },
    # The same kind of model for two cores, its heads half as wide.
    "qknorm-2m": {
        "vocab_size": 1024,
        "hidden_size": 192,
        "intermediate_size": 768,
        "num_hidden_layers": 4,
        "num_attention_heads": 6,
        "num_key_value_heads": 3,
        "max_position_embeddings": 256,
        "feed_forward": "relu2",
        "qk_norm": True,
    },
    "tiny-small": _tiny(256, 4, 4, 1024),
    "tiny-medium": _tiny(384, 6, 8, 1536),
    "tiny-large": _tiny(512, 8, 8, 2048),
    "tiny-xlarge": _tiny(768, 12, 12, 3072),
    # Wide enough for one coordinate a token of a small alphabet, or for a value and its square, and
    # one coordinate more.
    "categorical": _closed_form(64),
    "gaussian": _closed_form(3),
    "gaussian-unbiased": _closed_form(3),
}

_SHAPES = {
    "vocab_size",
    "hidden_size",
    "intermediate_size",
    "num_hidden_layers",
    "num_attention_heads",
    "num_key_value_heads",
    "max_position_embeddings",
}
_FLAGS = {"feed_forward", "norm", "norm_eps", "positions", "rope_theta", "qk_norm", "causal"}
_OTHERS = {"tie_word_embeddings", "initializer_range"}
_SWITCHES = {"qk_norm", "causal", "tie_word_embeddings"}
_NUMBERS = {"norm_eps", "rope_theta", "initializer_range"}
_TOKENS = {"pad_token_id", "bos_token_id", "eos_token_id"}
OVERRIDES = frozenset(_SHAPES | _FLAGS | _OTHERS | _TOKENS)


def preset_names() -> tuple[str, ...]:
    """The names of all presets, the default first."""
    return tuple(_PRESETS)


def preset_config(name: str, **overrides: Any) -> DecoderConfig:
    """The configuration of a preset.

    Args:
        name: one of :func:`preset_names`.
        **overrides: fields of the configuration to change, those of :data:`OVERRIDES`.

    Raises:
        BadModel: an unknown preset or override, or a shape that cannot be built.
    """
    settings = preset_settings(name, **overrides)
    from collapse.language.model.decoder import DecoderConfig

    try:
        return DecoderConfig(**settings)
    except (ValueError, TypeError) as error:
        reason = " ".join(str(error).split())
        raise BadModel(f"preset {name!r} cannot be built so: {reason}") from error


def preset_settings(name: str, **overrides: Any) -> dict[str, Any]:
    """The fields of a preset's configuration as plain values, without loading transformers.

    Raises:
        BadModel: an unknown preset or override, or a value of another kind.
    """
    if name not in _PRESETS:
        raise BadModel(_unknown("preset", name, preset_names()))
    for field, value in overrides.items():
        if field not in OVERRIDES:
            raise BadModel(
                _unknown(f"override of preset {name!r}", field, tuple(sorted(OVERRIDES)))
            )
        if field in _SHAPES and (type(value) is not int or value < 1):
            raise BadModel(f"preset {name!r}: {field}={value!r} is not a whole number above 0")
        if field in _SWITCHES and not isinstance(value, bool):
            raise BadModel(f"preset {name!r}: {field}={value!r} is not true or false")
        if field in _NUMBERS and not _is_above_zero(value):
            raise BadModel(f"preset {name!r}: {field}={value!r} is not a number above 0")
    settings = dict(_PRESETS[name])
    if "num_key_value_heads" in settings and "num_attention_heads" in overrides:
        # Heads that share keys are a ratio of a preset: they go with what they share, as far as
        # that is a whole number.
        shared = settings["num_attention_heads"] // settings["num_key_value_heads"]
        heads = overrides["num_attention_heads"]
        settings["num_key_value_heads"] = heads // shared if heads % shared == 0 else heads
    return settings | overrides


def _is_above_zero(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and 0 < value < math.inf


def _unknown(kind: str, value: str, known: tuple[str, ...]) -> str:
    near = difflib.get_close_matches(value, known, n=1)
    hint = f"; did you mean {near[0]!r}?" if near else ""
    return f"unknown {kind} {value!r}{hint} (known: {', '.join(known)})"


def load_preset(
    name: str, *, device: str | torch.device = "cpu", seed: int = 0, **overrides: Any
) -> DecoderForCausalLM:
    """A freshly initialised model of a preset's shape, float32, in evaluation mode.

    Args:
        name: one of :func:`preset_names`.
        device: where the weights go; ``meta`` allocates nothing and draws nothing.
        seed: the same seed gives the same bits on every device; the global generator is untouched.
        **overrides: see :func:`preset_config`.

    Raises:
        BadModel: see :func:`preset_config`.
    """
    config = preset_config(name, **overrides)
    return initialised_model(config, device=device, seed=seed)


def initialised_model(
    config: DecoderConfig, *, device: str | torch.device = "cpu", seed: int = 0
) -> DecoderForCausalLM:
    """A decoder of this configuration with weights drawn from the seed's own stream.

    Args:
        config: the shape.
        device: where the weights go; ``meta`` allocates nothing and draws nothing.
        seed: of the stream ``initialisation``.
    """
    import torch

    from collapse.language.model.decoder import DecoderForCausalLM
    from collapse.numerics.streams import stream_seed

    if torch.device(device).type == "meta":
        with torch.device("meta"):
            return DecoderForCausalLM(config).eval()
    # Always drawn on the CPU: a GPU's generator would give other weights for the same seed.
    # torch.manual_seed would reseed the GPUs too, which fork_rng(devices=[]) does not put back.
    with torch.random.fork_rng(devices=[]):
        torch.default_generator.manual_seed(stream_seed(seed, "initialisation"))
        return DecoderForCausalLM(config).eval().to(device)


def parameter_count(model: PreTrainedModel) -> int:
    """Number of parameters, tied weights once."""
    return sum(parameter.numel() for parameter in model.parameters())


def body_parameter_count(model: PreTrainedModel) -> int:
    """Number of parameters without token and position embeddings and without the head."""
    outer = {id(module.weight) for module in _embeddings_and_head(model)}
    return sum(p.numel() for p in model.parameters() if id(p) not in outer)


def training_flops_per_token(model: PreTrainedModel, sequence_length: int) -> float:
    """Floating-point operations of training on one token, by count and not by measurement.

    Six for each weight that the token is multiplied with (body and head; Kaplan et al., 2020), and
    attention's own products with the half of the sequence that lies before it, in each layer
    ``6 * width * sequence_length``. Norms, softmax and the optimizer are left out.

    Args:
        model: a causal language model.
        sequence_length: of the training.
    """
    config = model.config
    head = config.vocab_size * config.hidden_size
    weights = body_parameter_count(model) + head
    attention = config.num_hidden_layers * config.hidden_size * sequence_length
    return 6.0 * (weights + attention)


def _embeddings_and_head(model: PreTrainedModel) -> list[torch.nn.Module]:
    from torch import nn

    embeddings: list[nn.Module] = [m for m in model.modules() if isinstance(m, nn.Embedding)]
    head = model.get_output_embeddings()
    return embeddings if head is None else [*embeddings, head]
