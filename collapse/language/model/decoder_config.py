"""Shape and flags of the decoder. Copied beside the weights of saved models; see decoder.py."""

from typing import Any

from transformers import PretrainedConfig

FEED_FORWARDS = ("swiglu", "gelu", "relu2")
NORMS = ("rms", "layer")
POSITIONS = ("rope", "learned")
SIZES = (
    "vocab_size",
    "hidden_size",
    "intermediate_size",
    "num_hidden_layers",
    "num_attention_heads",
    "num_key_value_heads",
    "max_position_embeddings",
)


class DecoderConfig(PretrainedConfig):
    """Shape and flags of a :class:`DecoderForCausalLM`.

    Attributes:
        feed_forward: ``swiglu`` (three matrices), ``gelu`` or ``relu2`` (two).
        norm: ``rms``, or ``layer`` (mean taken off, and a bias).
        positions: ``rope``, or ``learned`` vectors added to the embeddings.
        qk_norm: RMSNorm over each head's queries and keys, before the rotation; its gains are
            shared by the heads of a layer.
        causal: False leaves the causal mask out, which lets every position see the token it is to
            predict: the fault of the seed's code study, reproduced on purpose.

    The other names are those of transformers' Llama.

    Raises:
        ValueError: a size is not a positive whole number, a flag has an unknown value, or widths do
            not divide.
    """

    model_type = "collapse_decoder"
    keys_to_ignore_at_inference = ["past_key_values"]  # noqa: RUF012  (the base class's name)

    vocab_size: int = 1024
    hidden_size: int = 128
    intermediate_size: int = 512
    num_hidden_layers: int = 2
    num_attention_heads: int = 4
    num_key_value_heads: int = 0  # 0: as many as heads
    max_position_embeddings: int = 256
    feed_forward: str = "gelu"
    norm: str = "rms"
    norm_eps: float = 1e-6
    positions: str = "rope"
    rope_theta: float = 10_000.0
    qk_norm: bool = False
    causal: bool = True
    tie_word_embeddings: bool = True
    initializer_range: float = 0.02
    use_cache: bool = True
    pad_token_id: int | None = None
    bos_token_id: int | None = None
    eos_token_id: int | list[int] | None = None

    def __post_init__(self, **kwargs: Any) -> None:
        """Fill in what depends on other fields, and refuse what cannot be built."""
        if not self.num_key_value_heads:
            self.num_key_value_heads = self.num_attention_heads
        if not self.causal:
            # Without the mask, what earlier positions hold changes with every new token, so that
            # nothing of it can be kept.
            self.use_cache = False
        for name in SIZES:
            _require_positive(name, getattr(self, name))
        _require_one_of("feed_forward", self.feed_forward, FEED_FORWARDS)
        _require_one_of("norm", self.norm, NORMS)
        _require_one_of("positions", self.positions, POSITIONS)
        _require_divides("hidden_size", self.hidden_size, self.num_attention_heads)
        _require_divides("num_attention_heads", self.num_attention_heads, self.num_key_value_heads)
        if self.positions == "rope":
            _require_divides("head_dim", self.head_dim, 2)
        super().__post_init__(**kwargs)

    @property
    def head_dim(self) -> int:
        """Width E of one head."""
        return self.hidden_size // self.num_attention_heads


def _require_positive(name: str, value: int) -> None:
    if not isinstance(value, int) or isinstance(value, bool) or value < 1:
        raise ValueError(f"{name}={value!r} is not a positive whole number")


def _require_one_of(name: str, value: str, known: tuple[str, ...]) -> None:
    if value not in known:
        raise ValueError(f"{name}={value!r} is unknown; known are {', '.join(known)}")


def _require_divides(name: str, value: int, divisor: int) -> None:
    if value % divisor:
        raise ValueError(f"{name}={value} is not a multiple of {divisor}")
