"""One decoding step of our decoder for many sequences at once, each at a position of its own.

The model's own ``forward`` grows its cache by a copy at every step and goes through a few hundred
small modules and checks; for small models that costs more than the arithmetic. This is the same
arithmetic on the same weights, with a cache allocated once. It is checked against ``forward``.

Shapes: N live slots (rows), T positions, H query heads, K key-value heads, E width of a head.
"""

from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from transformers import PreTrainedModel


@dataclass(frozen=True)
class _Layer:
    """A layer's weights, those that read the same input joined into one."""

    first_norm: nn.Module
    queries_keys_values: Tensor  # (H + 2K) E x D, pairs of the rotation side by side
    gains: Tensor | None  # of QK-norm: (H + K) x E
    out: Tensor
    second_norm: nn.Module
    inner: Tensor  # gate above up for SwiGLU
    down: Tensor


class CachedDecoder:
    """Weights and a static key-value cache of ``slots`` sequences.

    The cache is ``(layer, key or value, slot, K, T, E)``. Slots are few enough that a sequence's
    row can be copied to another slot when that shortens the work of a step; see ``slots.py``.
    """

    def __init__(self, model: PreTrainedModel, slots: int, length: int) -> None:
        config = model.config
        self.model = model
        self.config = config
        self.heads = config.num_attention_heads
        self.key_heads = config.num_key_value_heads
        self.width = config.head_dim
        self.length = length
        self.rotary = config.positions == "rope"
        self.embedding = model.get_input_embeddings().weight
        self.layers = [self._join(layer) for layer in model.model.layers]
        options = {"dtype": self.embedding.dtype, "device": self.embedding.device}
        shape = (len(self.layers), 2, slots, self.key_heads, length, self.width)
        self.cache = torch.zeros(shape, **options)
        self.mixed = torch.empty((slots, self.key_heads, self._group(), self.width), **options)
        self.steps_T = torch.arange(length, device=self.embedding.device)
        # First row of each (slot, head) in the cache seen as a list of vectors.
        rows = torch.arange(slots * self.key_heads, device=self.embedding.device) * length
        self.first_rows_NxK = rows.view(slots, self.key_heads)
        if self.rotary:
            self.turns_TxE = self._turns()

    def _group(self) -> int:
        return self.heads // self.key_heads

    def _turns(self) -> Tensor:
        """exp(i angle) of every position, ``(T, E / 2)`` complex."""
        exponents = torch.arange(0, self.width, 2, device=self.embedding.device) / self.width
        frequencies = self.config.rope_theta**-exponents
        angles = self.steps_T[:, None].float() * frequencies
        return torch.polar(torch.ones_like(angles), angles)

    def _join(self, layer: nn.Module) -> _Layer:
        attention, feed_forward = layer.self_attn, layer.mlp
        rotated = torch.cat((attention.q_proj.weight, attention.k_proj.weight))
        gains = None
        if self.config.qk_norm:
            gains = torch.cat(
                (
                    attention.q_norm.weight.expand(self.heads, -1),
                    attention.k_norm.weight.expand(self.key_heads, -1),
                )
            )
        if self.rotary:
            # The model rotates the pairs (i, i + E/2). Side by side they are complex numbers, and
            # the rotation is one product; scores do not change when queries and keys are permuted
            # alike.
            rotated = self._pair(rotated.view(-1, self.width, rotated.shape[1]), 1).reshape(
                rotated.shape
            )
            gains = None if gains is None else self._pair(gains, 1)
        inner = feed_forward.up_proj.weight
        if self.config.feed_forward == "swiglu":
            inner = torch.cat((feed_forward.gate_proj.weight, inner))
        return _Layer(
            first_norm=layer.input_layernorm,
            queries_keys_values=torch.cat((rotated, attention.v_proj.weight)),
            gains=gains,
            out=attention.o_proj.weight,
            second_norm=layer.post_attention_layernorm,
            inner=inner,
            down=feed_forward.down_proj.weight,
        )

    def _pair(self, x: Tensor, axis: int) -> Tensor:
        """Put entries i and i + E/2 of an axis side by side."""
        return (
            x.unflatten(axis, (2, self.width // 2))
            .transpose(axis, axis + 1)
            .flatten(axis, axis + 1)
        )

    def prefill(self, slots: list[int], prompts: list[list[int]]) -> None:
        """Fill the cache with prompts, each from position 0 of its slot.

        Uses the model's own forward. Prompts are padded on the right: under the causal mask no
        token sees what follows it, and the rows of padding are overwritten before they are read.
        """
        longest = max(map(len, prompts))
        padded = [prompt + [0] * (longest - len(prompt)) for prompt in prompts]
        ids_NxT = torch.tensor(padded, device=self.embedding.device)
        past = self.model.model(input_ids=ids_NxT, use_cache=True).past_key_values
        for index, kept in enumerate(past.layers):
            keys = self._pair(kept.keys, 3) if self.rotary else kept.keys
            self.cache[index, 0, slots, :, :longest] = keys
            self.cache[index, 1, slots, :, :longest] = kept.values

    def move(self, source: int, target: int, length: int) -> None:
        """Copy the first positions of one slot's cache over another's."""
        self.cache[:, :, target, :, :length] = self.cache[:, :, source, :, :length]

    def step(self, tokens_N: Tensor, positions: list[int], spans: list[tuple[int, int]]) -> Tensor:
        """Next-token logits ``(N, V)`` of slots 0 to N - 1, whose caches grow by one position.

        Args:
            tokens_N: each slot's newest token.
            positions: where that token stands in its sequence.
            spans: ranges of slots ``(start, stop)`` that cover 0 to N; attention of a span goes to
                the span's longest sequence, so spans of like length save work.
        """
        device = self.embedding.device
        positions_N = torch.tensor(positions, device=device)
        rows_NK = (self.first_rows_NxK[: len(positions)] + positions_N[:, None]).flatten()
        reach = [max(positions[start:stop]) + 1 for start, stop in spans]
        mask_Nx1xT = self._mask(positions_N, max(reach))
        turns = self.turns_TxE[positions_N, None] if self.rotary else None
        hidden_NxD = F.embedding(tokens_N, self.embedding)
        if not self.rotary:
            hidden_NxD = hidden_NxD + self.model.model.embed_positions(positions_N)
        for index, layer in enumerate(self.layers):
            queries = self._remember(index, layer, hidden_NxD, turns, rows_NK)
            mixed_NxD = self._attend(index, queries, mask_Nx1xT, spans, reach)
            hidden_NxD = torch.addmm(hidden_NxD, mixed_NxD, layer.out.T)
            inner = self._activate(F.linear(_normalise(layer.second_norm, hidden_NxD), layer.inner))
            hidden_NxD = torch.addmm(hidden_NxD, inner, layer.down.T)
        return F.linear(_normalise(self.model.model.norm, hidden_NxD), self.model.lm_head.weight)

    def _mask(self, positions_N: Tensor, reach: int) -> Tensor:
        """0 where a slot has a token, minus infinity beyond; ``(N, 1, T)``."""
        beyond_NxT = self.steps_T[:reach] > positions_N[:, None]
        mask_NxT = torch.zeros(beyond_NxT.shape, dtype=self.cache.dtype, device=self.cache.device)
        return mask_NxT.masked_fill_(beyond_NxT, -torch.inf)[:, None]

    def _remember(
        self, index: int, layer: _Layer, hidden: Tensor, turns: Tensor | None, rows_NK: Tensor
    ) -> Tensor:
        """Project; keep the new keys and values; return the scaled queries ``(N, K, H / K, E)``."""
        count, rotated = hidden.shape[0], self.heads + self.key_heads
        projected = F.linear(_normalise(layer.first_norm, hidden), layer.queries_keys_values)
        projected = projected.view(count, -1, self.width)
        both = projected[:, :rotated]
        if layer.gains is not None:
            both = F.rms_norm(both, (self.width,), eps=self.config.norm_eps) * layer.gains
        if turns is not None:
            pairs = torch.view_as_complex(both.float().unflatten(-1, (-1, 2)))
            both = torch.view_as_real(pairs * turns).flatten(-2).to(projected.dtype)
        values = projected[:, rotated:].reshape(-1, self.width)
        keys = both[:, self.heads :].reshape(-1, self.width)
        self.cache[index, 0].view(-1, self.width).index_copy_(0, rows_NK, keys)
        self.cache[index, 1].view(-1, self.width).index_copy_(0, rows_NK, values)
        queries = both[:, : self.heads] * self.width**-0.5
        return queries.view(count, self.key_heads, -1, self.width)

    def _attend(
        self,
        index: int,
        queries: Tensor,
        mask_Nx1xT: Tensor,
        spans: list[tuple[int, int]],
        reach: list[int],
    ) -> Tensor:
        """Mix each slot's values, ``(N, D)``, span by span up to the span's reach."""
        keys, values = self.cache[index]
        for (start, stop), length in zip(spans, reach, strict=True):
            batch = (stop - start) * self.key_heads
            span_keys = keys[start:stop].flatten(0, 1)[:, :length]
            span_values = values[start:stop].flatten(0, 1)[:, :length]
            scores = torch.bmm(queries[start:stop].view(batch, -1, self.width), span_keys.mT)
            by_slot = scores.view(stop - start, -1, length).add_(mask_Nx1xT[start:stop, :, :length])
            weights = by_slot.softmax(-1).view(batch, -1, length)
            out = self.mixed[start:stop].view(batch, -1, self.width)
            torch.bmm(weights, span_values, out=out)
        return self.mixed[: queries.shape[0]].view(queries.shape[0], -1)

    def _activate(self, inner: Tensor) -> Tensor:
        kind = self.config.feed_forward
        if kind == "swiglu":
            gate, up = inner.chunk(2, dim=-1)
            return F.silu(gate) * up
        return F.gelu(inner) if kind == "gelu" else F.relu(inner).square_()


def _normalise(norm: nn.Module, hidden_NxD: Tensor) -> Tensor:
    """The model's normalisation by torch's own kernel: a third of the written-out one's time."""
    if isinstance(norm, nn.LayerNorm):
        return norm(hidden_NxD)
    return F.rms_norm(hidden_NxD, norm.weight.shape, norm.weight, norm.eps)
