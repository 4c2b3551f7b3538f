import itertools
from collections import Counter

import numpy as np
import pytest
import torch
from scipy import stats
from tokenizers import Tokenizer, models, pre_tokenizers
from transformers import (
    AutoModelForCausalLM,
    GPT2Config,
    GPT2LMHeadModel,
    PreTrainedTokenizerFast,
    Qwen2Config,
    Qwen2ForCausalLM,
)
from transformers.generation import TemperatureLogitsWarper, TopKLogitsWarper, TopPLogitsWarper

from collapse.errors import BadParameter
from collapse.language.model.decoder import DecoderForCausalLM
from collapse.language.presets import load_preset
from collapse.language.sampling import choice, completions, sample, sample_tokens
from collapse.language.sampling.cached_decoder import CachedDecoder
from collapse.language.sampling.choice import Decoding, invert_distribution, token_probabilities
from collapse.parameters import fields

SMALL = {
    "vocab_size": 30,
    "hidden_size": 16,
    "intermediate_size": 24,
    "num_attention_heads": 4,
    "max_position_embeddings": 64,
}
KINDS = {
    "default": {},
    "studies-1": {"feed_forward": "swiglu", "norm": "layer", "positions": "learned"},
    "studies-5": {"feed_forward": "relu2", "qk_norm": True, "num_key_value_heads": 2},
    "untied": {"tie_word_embeddings": False, "feed_forward": "swiglu"},
}
EOS = 0


def small(spread: float = 0.3, **flags: object) -> DecoderForCausalLM:
    model = load_preset("pocket", **(SMALL | flags))
    generator = torch.Generator().manual_seed(0)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter += spread * torch.randn(parameter.shape, generator=generator)
    return model


def some_prompts(count: int, longest: int = 9) -> list[list[int]]:
    generator = np.random.default_rng(0)
    lengths = generator.integers(1, longest + 1, count)
    return [generator.integers(1, 30, length).tolist() for length in lengths]


@pytest.mark.parametrize("flags", KINDS.values(), ids=KINDS)
def test_logits_of_every_step_are_those_of_the_full_forward(flags):
    model = small(num_hidden_layers=3, **flags)
    ids = torch.randint(30, (5, 24), generator=torch.Generator().manual_seed(1))
    with torch.inference_mode():
        full = model(ids).logits
        decoder = CachedDecoder(model, slots=6, length=24)
        decoder.prefill([3, 4], [ids[3, :7].tolist(), ids[4, :4].tolist()])
        positions = [0, 0, 0, 7, 4]
        for _ in range(15):
            newest = torch.stack([ids[row, position] for row, position in enumerate(positions)])
            logits = decoder.step(newest, positions, [(0, 2), (2, 5)])
            expected = torch.stack([full[row, p] for row, p in enumerate(positions)])
            torch.testing.assert_close(logits, expected, atol=3e-5, rtol=1e-4)
            positions = [position + 1 for position in positions]


@pytest.mark.parametrize("flags", KINDS.values(), ids=KINDS)
def test_greedy_texts_are_those_of_generate(flags):
    model, prompts = small(**flags), some_prompts(8)
    ours = sample_tokens(
        model, prompts, max_new_tokens=20, temperature=0, eos_token_id=EOS, seed=0, batch_size=5
    )
    for prompt, completion in zip(prompts, ours, strict=True):
        ids = torch.tensor([prompt])
        out = model.generate(
            ids,
            attention_mask=torch.ones_like(ids),
            max_new_tokens=20,
            do_sample=False,
            eos_token_id=EOS,
            pad_token_id=1,
        )[0, len(prompt) :].tolist()
        assert completion == (out[: out.index(EOS)] if EOS in out else out)


@pytest.mark.parametrize("flags", KINDS.values(), ids=KINDS)
def test_texts_do_not_depend_on_the_batch(flags):
    model, prompts = small(spread=0.1, **flags), some_prompts(48)
    settings = {"max_new_tokens": 25, "top_k": 20, "top_p": 0.95, "eos_token_id": EOS}
    texts = [
        sample_tokens(model, prompts, seed=3, batch_size=size, **settings) for size in (1, 7, 64)
    ]
    assert texts[0] == texts[1] == texts[2]
    assert len({len(text) for text in texts[0]}) > 10  # they end at many places
    alone = sample_tokens(model, prompts[:3], seed=3, **settings)
    assert alone == texts[0][:3]
    assert sample_tokens(model, prompts, seed=4, **settings) != texts[0]


def test_generate_path_draws_the_same_texts_as_slots():
    model, prompts = small(spread=0.1), some_prompts(20)
    settings = {"max_new_tokens": 30, "top_k": 10, "eos_token_id": EOS, "seed": 1}
    slots = sample_tokens(model, prompts, **settings)
    model.config.model_type = "another"
    assert sample_tokens(model, prompts, batch_size=6, **settings) == slots


def sequence_probabilities(model: torch.nn.Module, decoding: Decoding, longest: int) -> dict:
    """Exact probability of every completion of at most ``longest`` tokens after the bos token."""
    exact: dict[tuple[int, ...], float] = {}
    live = {(): 1.0}
    for step in range(longest):
        following: dict[tuple[int, ...], float] = {}
        for written, probability in live.items():
            with torch.no_grad():
                scores = model(torch.tensor([[EOS, *written]])).logits[:, -1].double()
            scores = TemperatureLogitsWarper(decoding.temperature)(None, scores)
            if decoding.top_k:
                scores = TopKLogitsWarper(decoding.top_k)(None, scores)
            if decoding.top_p < 1:
                scores = TopPLogitsWarper(decoding.top_p)(None, scores)
            for token, share in enumerate(scores.softmax(-1)[0].tolist()):
                ended = token == EOS
                text = written if ended else (*written, token)
                target = exact if ended or step == longest - 1 else following
                target[text] = target.get(text, 0.0) + probability * share
        live = following
    return exact


@pytest.mark.parametrize(
    "decoding",
    [Decoding(), Decoding(temperature=0.7), Decoding(top_k=3), Decoding(0.8, 4, 0.7)],
    ids=str,
)
def test_sampled_sequences_have_the_exact_distribution(decoding):
    model = small(vocab_size=5)
    exact = sequence_probabilities(model, decoding, longest=3)
    assert sum(exact.values()) == pytest.approx(1)
    count = 5000
    drawn = sample_tokens(
        model,
        [[EOS]] * count,
        max_new_tokens=3,
        temperature=decoding.temperature,
        top_k=decoding.top_k,
        top_p=decoding.top_p,
        eos_token_id=EOS,
        seed=5,
        batch_size=512,
    )
    seen = Counter(map(tuple, drawn))
    assert all(exact.get(text, 0) > 0 for text in seen)
    common = [text for text, p in exact.items() if p * count >= 5]
    observed = [seen[text] for text in common]
    expected = [exact[text] * count for text in common]
    rest = count - sum(expected)
    if rest >= 5:
        observed.append(count - sum(observed))
        expected.append(rest)
    expected = np.array(expected) * sum(observed) / sum(expected)
    assert len(common) >= 4
    assert stats.chisquare(observed, expected).pvalue > 1e-3


@pytest.mark.parametrize(
    ("temperature", "top_k", "top_p"),
    list(itertools.product((0.3, 1.0, 1.7), (0, 1, 5, 100), (1e-6, 0.5, 0.9, 1.0))),
)
def test_filters_match_those_of_transformers(temperature, top_k, top_p):
    generator = torch.Generator().manual_seed(0)
    logits = 3 * torch.randn(20, 50, generator=generator, dtype=torch.float64)
    scores = TemperatureLogitsWarper(temperature)(None, logits)
    if top_k:
        scores = TopKLogitsWarper(top_k)(None, scores)
    if top_p < 1:
        scores = TopPLogitsWarper(top_p)(None, scores)
    ours = token_probabilities(logits, Decoding(temperature, top_k, top_p))
    torch.testing.assert_close(ours, scores.softmax(-1))


def test_a_beam_as_wide_as_the_tree_finds_the_likeliest_text_and_a_narrow_one_beats_greed():
    model, prompts = small(spread=0.3, vocab_size=6), [[k] for k in range(1, 6)]
    settings = {"max_new_tokens": 4, "temperature": 0, "eos_token_id": None, "seed": 0}
    greedy = sample_tokens(model, prompts, **settings)
    narrow = sample_tokens(model, prompts, beams=3, batch_size=2, **settings)
    widest = sample_tokens(model, prompts, beams=6**3, **settings)
    everything = torch.cartesian_prod(*[torch.arange(6)] * 4)

    def log_probabilities(prompt, texts_NxL):
        ids = torch.cat([torch.tensor(prompt).repeat(len(texts_NxL), 1), texts_NxL], dim=1)
        with torch.no_grad():
            log_p = model(ids[:, :-1]).logits.log_softmax(-1)
        return log_p.gather(2, ids[:, 1:, None])[:, len(prompt) - 1 :, 0].sum(1)

    gains = []
    for k, prompt in enumerate(prompts):
        best = everything[log_probabilities(prompt, everything).argmax()].tolist()
        assert widest[k] == best
        both = log_probabilities(prompt, torch.tensor([narrow[k], greedy[k]]))
        gains.append(float(both[0] - both[1]))
    assert min(gains) > -1e-5
    assert max(gains) > 1e-3  # else greed finds the same, and nothing was searched


def test_inversion_at_its_edges():
    probabilities = torch.tensor([[0.0, 0.25, 0.0, 0.75, 0.0]]).repeat(5, 1)
    below_one = float(np.nextafter(1.0, 0.0))
    uniforms = torch.tensor([0.0, 0.2499999, 0.25, 0.999, below_one], dtype=torch.float64)
    assert invert_distribution(probabilities, uniforms).tolist() == [1, 1, 3, 3, 3]
    # A sum that falls short of 1 by rounding must not let the draw run off the end.
    short = probabilities * 0.9999
    assert invert_distribution(short, uniforms).tolist() == [1, 1, 3, 3, 3]


FOREIGN = {
    "gpt2": lambda: GPT2LMHeadModel(
        GPT2Config(vocab_size=30, n_embd=16, n_layer=2, n_head=2, n_positions=64)
    ),
    "qwen2": lambda: Qwen2ForCausalLM(
        Qwen2Config(**SMALL, num_hidden_layers=2, num_key_value_heads=2, tie_word_embeddings=True)
    ),
}


@pytest.mark.parametrize("kind", FOREIGN)
def test_other_models_sample_without_their_own_settings_and_global_state(kind):
    torch.manual_seed(0)
    model, prompts = FOREIGN[kind]().eval(), some_prompts(12)
    settings = {"max_new_tokens": 15, "eos_token_id": EOS, "seed": 2}
    before = torch.get_rng_state()
    texts = sample_tokens(model, prompts, **settings)
    assert torch.equal(before, torch.get_rng_state())
    assert sample_tokens(model, prompts, batch_size=5, **settings) == texts
    model.generation_config.update(
        repetition_penalty=5.0, top_k=1, temperature=0.1, do_sample=True, no_repeat_ngram_size=1,
        min_new_tokens=10,
    )  # fmt: skip
    assert sample_tokens(model, prompts, **settings) == texts


OWN_SETTINGS = {
    "eos_token_id": 7, "suppress_tokens": list(range(3, 25)), "bad_words_ids": [[7]],
    "forced_eos_token_id": 7, "sequence_bias": [[[7], 50.0]], "guidance_scale": 3.0,
    "exponential_decay_length_penalty": (2, 5.0), "max_time": 1e-9, "num_return_sequences": 2,
    "return_dict_in_generate": True, "stop_strings": ["a"],
}  # fmt: skip


@pytest.mark.parametrize("setting", OWN_SETTINGS)
def test_no_setting_of_the_model_speaks_where_ours_says_nothing(setting):
    """An end token of its own, above all: transformers fills in what a configuration leaves out."""
    torch.manual_seed(0)
    model, prompts = FOREIGN["gpt2"]().eval(), some_prompts(6)
    settings = {"max_new_tokens": 15, "eos_token_id": None, "seed": 2}
    model.generation_config.eos_token_id = None
    texts = sample_tokens(model, prompts, **settings)
    assert all(len(text) == 15 for text in texts)
    own = model.generation_config
    setattr(own, setting, OWN_SETTINGS[setting])
    assert sample_tokens(model, prompts, **settings) == texts
    assert model.generation_config is own


def test_without_the_causal_mask_every_step_sees_the_whole_text_anew():
    model = small(causal=False)
    (text,) = sample_tokens(
        model, [[3, 4]], max_new_tokens=5, temperature=0, eos_token_id=None, seed=0
    )
    ids = [3, 4]
    for _ in range(5):
        ids.append(int(model(torch.tensor([ids])).logits[0, -1].argmax()))
    assert text == ids[2:]


def test_a_copy_of_the_class_from_a_model_folder_takes_the_fast_path(tmp_path, monkeypatch):
    from transformers.dynamic_module_utils import get_class_from_dynamic_module

    model = small()
    model.save_pretrained(tmp_path)
    copied = get_class_from_dynamic_module("decoder.DecoderForCausalLM", str(tmp_path))
    assert copied is not DecoderForCausalLM
    loaded = copied.from_pretrained(tmp_path)
    monkeypatch.setattr(completions, "sample_through_generate", None)
    settings = {"max_new_tokens": 9, "eos_token_id": EOS, "seed": 0}
    assert sample_tokens(loaded, [[1]] * 9, **settings) == sample_tokens(
        model, [[1]] * 9, **settings
    )
    assert type(AutoModelForCausalLM.from_pretrained(tmp_path)) is DecoderForCausalLM


@pytest.mark.parametrize("kind", ["ours", *FOREIGN])
def test_length_is_capped_by_the_context(kind):
    model = small() if kind == "ours" else FOREIGN[kind]().eval()
    texts = sample_tokens(
        model, [[1] * 60, [1] * 64, [2]], max_new_tokens=10, eos_token_id=None, seed=0
    )
    assert [len(text) for text in texts] == [4, 0, 10]
    with pytest.raises(BadParameter, match=r"prompt 1 has 65 tokens.*context of 64"):
        sample_tokens(model, [[1], [1] * 65], max_new_tokens=1, eos_token_id=None, seed=0)


def test_any_of_several_end_tokens_ends_and_none_is_kept():
    texts = sample_tokens(
        small(), some_prompts(40), max_new_tokens=30, eos_token_id=range(10), seed=0
    )
    assert all(token >= 10 for text in texts for token in text)
    assert min(map(len, texts)) < max(map(len, texts))


def test_progress_counts_up_to_the_end_and_the_model_is_left_as_it_was():
    model, counts = small().train(), []
    sample_tokens(
        model, some_prompts(20), max_new_tokens=9, eos_token_id=EOS, seed=0, batch_size=4,
        progress=counts.append,
    )  # fmt: skip
    assert counts == sorted(set(counts))
    assert counts[-1] == 20
    assert model.training
    assert sample_tokens(model, [], max_new_tokens=9, eos_token_id=EOS, seed=0) == []


@pytest.mark.parametrize(
    ("setting", "message"),
    [
        ({"temperature": -1.0}, "temperature=-1.0"),
        ({"temperature": float("nan")}, "temperature=nan"),
        ({"temperature": 1e-40}, "temperature=1e-40"),
        ({"top_k": -1}, "top_k=-1"),
        ({"top_p": 0.0}, "top_p=0.0"),
        ({"top_p": 1.1}, "top_p=1.1"),
        ({"beams": 0}, "beams=0"),
        ({"beams": 4}, "beams=4 is a search.*temperature=0, not 1.0"),
        ({"max_new_tokens": 0}, "max_new_tokens=0"),
        ({"batch_size": 0}, "batch_size=0"),
    ],
)
def test_values_out_of_range_are_named(setting, message):
    settings = {"max_new_tokens": 2, "eos_token_id": EOS, "seed": 0} | setting
    with pytest.raises(BadParameter, match=message):
        sample_tokens(small(), [[1]], **settings)


@pytest.mark.parametrize(("prompt", "message"), [([], "no token"), ([30], "30"), ([-1], "-1")])
def test_prompts_that_cannot_be_read_are_named(prompt, message):
    with pytest.raises(BadParameter, match=message):
        sample_tokens(small(), [[1], prompt], max_new_tokens=2, eos_token_id=EOS, seed=0)


def word_tokenizer() -> PreTrainedTokenizerFast:
    vocabulary = {"<e>": 0, "<p>": 1} | {f"w{k}": k for k in range(2, 30)}
    tokenizer = Tokenizer(models.WordLevel(vocabulary, unk_token="w2"))
    tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer, bos_token="<e>", eos_token="<e>", pad_token="<p>"
    )


def test_texts_in_texts_out():
    model, tokenizer = small(), word_tokenizer()
    prompts = ["", "w5 w6", ""]
    texts = sample(model, tokenizer, prompts, max_new_tokens=12, top_k=0, temperature=1.0)
    expected = sample_tokens(model, [[0], [5, 6], [0]], max_new_tokens=12, eos_token_id=EOS, seed=0)
    assert texts == [" ".join(f"w{t}" for t in text if t > 1) for text in expected]
    assert texts[0] != texts[2]  # equal prompts, each with its own numbers


def test_one_text_is_no_list_of_texts():
    with pytest.raises(BadParameter, match=r"prompts='w5 w6' is one text: give a list"):
        sample(small(), word_tokenizer(), "w5 w6")


def test_an_empty_prompt_needs_a_first_token():
    tokenizer = word_tokenizer()
    tokenizer.bos_token = tokenizer.eos_token = None
    with pytest.raises(BadParameter, match="bos or an eos"):
        sample(small(), tokenizer, [""])


def test_bfloat16_models_sample_too():
    model, prompts = small(qk_norm=True).to(torch.bfloat16), some_prompts(6)
    settings = {"max_new_tokens": 9, "eos_token_id": None, "seed": 0}
    assert [len(text) for text in sample_tokens(model, prompts, **settings)] == [9] * 6


def test_a_door_and_the_sampler_have_one_least_temperature():
    """Two rooms that import nothing of each other."""
    assert fields.LEAST_TEMPERATURE == choice.LEAST_TEMPERATURE
