import json
import shutil
import socket
import subprocess
import sys
import threading

import pytest
import torch
from transformers import (
    AutoModelForCausalLM,
    BertConfig,
    BertForMaskedLM,
    GPT2Config,
    GPT2LMHeadModel,
    Qwen2Config,
    Qwen2ForCausalLM,
)

from collapse.errors import BadCorpus, BadModel
from collapse.language import hub
from collapse.language.hub import require_hub_access
from collapse.language.presets import load_preset
from collapse.language.pretrained import content_digest, load_model

QWEN = {
    "vocab_size": 40,
    "hidden_size": 16,
    "intermediate_size": 32,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "max_position_embeddings": 64,
    "tie_word_embeddings": True,
}
MODELS = {
    "qwen2": lambda: Qwen2ForCausalLM(Qwen2Config(**QWEN)),
    "gpt2": lambda: GPT2LMHeadModel(
        GPT2Config(vocab_size=40, n_embd=16, n_layer=2, n_head=2, n_positions=64)
    ),
    "ours": lambda: load_preset("pocket", vocab_size=40),
}


@pytest.fixture
def unreachable(monkeypatch, tmp_path):
    """No cache, no offline setting, and an address where nothing listens."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    for name in (*hub._PROXIES, "HF_HUB_OFFLINE", "HF_HUB_CACHE", "HUGGINGFACE_HUB_CACHE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HF_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("HF_ENDPOINT", f"http://127.0.0.1:{port}")


@pytest.mark.parametrize("kind", MODELS)
@pytest.mark.parametrize("saved_as", [torch.float32, torch.bfloat16], ids=["float32", "bfloat16"])
def test_loads_any_causal_model_in_float32_and_evaluation_mode(kind, saved_as, tmp_path):
    model = MODELS[kind]().eval().to(saved_as)
    model.save_pretrained(tmp_path)
    loaded = load_model(tmp_path)
    assert type(loaded) is type(model)
    assert loaded.dtype == torch.float32
    assert not loaded.training
    ids = torch.arange(10)[None]
    expected = model.state_dict()
    assert all(torch.equal(v, expected[k].float()) for k, v in loaded.state_dict().items())
    if saved_as == torch.float32:
        assert torch.equal(loaded(ids).logits, model(ids).logits)
    assert load_model(str(tmp_path), dtype=torch.bfloat16).dtype == torch.bfloat16


def test_refuses_a_model_of_another_kind(tmp_path):
    shape = {"vocab_size": 40, "hidden_size": 16, "intermediate_size": 32}
    config = BertConfig(**shape, num_hidden_layers=1, num_attention_heads=2)
    BertForMaskedLM(config).save_pretrained(tmp_path)
    with pytest.raises(BadModel, match="is a BertForMaskedLM, not a causal language model"):
        load_model(tmp_path)
    settings = json.loads((tmp_path / "config.json").read_text())
    del settings["architectures"]  # and where the folder does not say what it is
    (tmp_path / "config.json").write_text(json.dumps(settings))
    with pytest.raises(BadModel, match=r"is an encoder \(bert"):
        load_model(tmp_path)


def test_refuses_weights_that_are_not_all_there(tmp_path):
    MODELS["ours"]().save_pretrained(tmp_path)
    settings = json.loads((tmp_path / "config.json").read_text())
    settings["num_hidden_layers"] = 3
    (tmp_path / "config.json").write_text(json.dumps(settings))
    with pytest.raises(BadModel, match=r"the weights lack 'model\.layers\.2"):
        load_model(tmp_path)


def test_folders_that_hold_no_model_are_named(tmp_path):
    with pytest.raises(BadModel, match=r"no-such.*there is no such folder"):
        load_model(tmp_path / "no-such")
    with pytest.raises(BadModel, match=r"the folder has no config.json"):
        load_model(tmp_path)
    (tmp_path / "config.json").write_text("{")
    with pytest.raises(BadModel, match="the folder has no weights"):
        load_model(tmp_path)
    (tmp_path / "model.safetensors").write_bytes(b"nothing")
    with pytest.raises(BadModel, match=r"config.json cannot be read") as caught:
        load_model(tmp_path)
    assert "\n" not in str(caught.value)
    (tmp_path / "config.json").write_text('{"model_type": "gpt2"}')
    with pytest.raises(BadModel, match=r"model.safetensors is damaged .*copy it again") as caught:
        load_model(tmp_path)
    (tmp_path / "model.safetensors").write_bytes((2).to_bytes(8, "little") + b"{}")
    with pytest.raises(BadModel, match="the weights lack") as caught:
        load_model(tmp_path)
    assert "\n" not in str(caught.value)


@pytest.mark.usefixtures("unreachable")
def test_hub_out_of_reach_is_said_at_once_and_with_a_way_out(monkeypatch):
    """Without a word to the hub's own client, which tries again for most of a minute."""

    def asked(*_, **__):
        raise AssertionError("the hub's client was asked")

    monkeypatch.setattr(AutoModelForCausalLM, "from_pretrained", asked)
    with pytest.raises(BadModel, match=r"Qwen/Qwen2.5-0.5B.*cannot be reached.*local model folder"):
        load_model("Qwen/Qwen2.5-0.5B")
    with pytest.raises(BadCorpus, match=r"roneneldan/TinyStories.*'stories' or 'python'"):
        require_hub_access("roneneldan/TinyStories", "dataset")


@pytest.mark.usefixtures("unreachable")
def test_a_name_lookup_that_hangs_is_not_waited_for(monkeypatch):
    let_go, ended = threading.Event(), threading.Event()

    def hang(*_, **__):
        let_go.wait()
        ended.set()
        raise OSError("no such host")

    monkeypatch.setattr(hub.socket, "create_connection", hang)
    with pytest.raises(BadModel, match="cannot be reached"):
        require_hub_access("a/b")
    assert not ended.is_set()
    let_go.set()
    assert ended.wait(60)  # it did hang


@pytest.mark.usefixtures("unreachable")
def test_offline_setting_is_named(monkeypatch):
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    with pytest.raises(BadModel, match="HF_HUB_OFFLINE is set"):
        require_hub_access("a/b")


@pytest.mark.usefixtures("unreachable")
def test_cache_and_proxy_are_access(monkeypatch, tmp_path):
    with socket.create_server(("127.0.0.1", 0)) as proxy, monkeypatch.context() as patch:
        patch.setenv("https_proxy", f"http://127.0.0.1:{proxy.getsockname()[1]}")
        require_hub_access("a/b")
    snapshot = tmp_path / "home" / "hub" / "models--a--b" / "snapshots" / "1"
    snapshot.mkdir(parents=True)
    (snapshot / "tokenizer.json").touch()
    require_hub_access("a/b", "model")
    with pytest.raises(BadModel, match="not cached here"):
        load_model("a/b")  # a tokenizer alone is no model
    with pytest.raises(BadCorpus):
        require_hub_access("a/b", "dataset")


@pytest.fixture
def cached(unreachable, monkeypatch, tmp_path):
    """The snapshot of a model ``a/b`` from the hub, in three files of weights."""
    name = tmp_path / "home" / "hub" / "models--a--b"
    MODELS["qwen2"]().save_pretrained(name / "snapshots" / "1", max_shard_size="5KB")
    (name / "refs").mkdir()
    (name / "refs" / "main").write_text("1")
    # The client read its environment when it was imported; here it is told where to look.
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(name.parent))
    monkeypatch.setattr("transformers.utils.hub.constants.HF_HUB_CACHE", str(name.parent))
    return name / "snapshots" / "1"


@pytest.mark.usefixtures("cached")
def test_a_cached_model_is_loaded_without_asking_the_hub(monkeypatch):
    def asked(*_, **__):
        raise AssertionError("the network was asked")

    # The client is free to ask, whatever this process was told when it began.
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", False)
    monkeypatch.setattr(socket, "getaddrinfo", asked)
    monkeypatch.setattr(socket.socket, "connect", asked)
    assert isinstance(load_model("a/b"), Qwen2ForCausalLM)
    with pytest.raises(OSError, match="load the model for 'a/b'") as otherwise:
        AutoModelForCausalLM.from_pretrained("a/b")
    assert "network was asked" in str(otherwise.value.__cause__)


@pytest.mark.parametrize("hub_answers", [True, False])
def test_a_download_that_was_cut_off_is_gone_on_with(hub_answers, cached, monkeypatch):
    shards = sorted(cached.glob("*.safetensors"))
    assert len(shards) > 1
    shards[-1].unlink()
    asked = []
    whole = AutoModelForCausalLM.from_pretrained

    def from_pretrained(name, **options):
        asked.append(options["local_files_only"])
        return whole(name, **options | {"local_files_only": True})

    monkeypatch.setattr(AutoModelForCausalLM, "from_pretrained", from_pretrained)
    monkeypatch.setattr(hub, "_hub_answers", lambda: hub_answers)
    with pytest.raises(BadModel, match="cannot be loaded"):
        load_model("a/b")
    assert asked == ([True, False] if hub_answers else [True])


def test_hub_is_asked_before_anything_heavy_is_loaded():
    code = (
        "import sys\n"
        "from collapse.language.pretrained import load_model\n"
        "from collapse.errors import BadModel\n"
        "try: load_model('no/such')\n"
        "except BadModel: assert not {'torch', 'transformers', 'datasets'} & set(sys.modules)\n"
        "else: raise SystemExit('loaded')"
    )
    environment = {"HF_HUB_OFFLINE": "1", "HF_HOME": "/nonexistent"}
    subprocess.run([sys.executable, "-c", code], check=True, env=environment)


def test_content_digest_follows_the_content_and_not_the_place(tmp_path):
    folder = tmp_path / "model"
    (folder / "code").mkdir(parents=True)
    for name, text in {"config.json": "{}", "model.safetensors": "ab", "code/a.py": "1"}.items():
        (folder / name).write_text(text)
    digest = content_digest(str(folder))
    assert len(bytes.fromhex(digest)) == 32
    shutil.copytree(folder, tmp_path / "elsewhere")
    assert content_digest(str(tmp_path / "elsewhere")) == digest
    for aside in (".cache/x", ".hidden", "__pycache__/a.pyc", "code/__pycache__/a.pyc"):
        (folder / aside).parent.mkdir(exist_ok=True)
        (folder / aside).write_text("x")
    assert content_digest(str(folder)) == digest

    (folder / "model.safetensors").write_text("ac")
    digests = {digest, content_digest(str(folder))}
    (folder / "model.safetensors").rename(folder / "other.safetensors")
    digests.add(content_digest(str(folder)))
    (folder / "tokenizer.json").write_text("")
    digests.add(content_digest(str(folder)))
    (folder / "code" / "a.py").write_text("2")
    digests.add(content_digest(str(folder)))
    assert len(digests) == 5


def test_content_digest_of_a_name_is_the_name_and_costs_no_heavy_import(tmp_path):
    assert content_digest("Qwen/Qwen2.5-0.5B") == "Qwen/Qwen2.5-0.5B"
    assert content_digest("pocket") == "pocket"
    assert content_digest("") == ""
    (tmp_path / "config.json").touch()
    code = (
        "import sys; from collapse.language.pretrained import content_digest; "
        "content_digest(sys.argv[1]); "
        "assert not {'torch', 'transformers', 'numpy'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code, str(tmp_path)], check=True)
