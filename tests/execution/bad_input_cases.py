"""Everything that doors are to refuse: one row a case.

A row of `CALLS` is a door, its words, and what the one line must contain: the value at fault and
the remedy. A row of `STUDY_FILES` is the text of a study file, and the same two.
"""

import json
from pathlib import Path

CALLS = [
    # Words that are no parameters.
    ("prepare", "steps=3", "'steps=3'", "write --parameter value"),
    ("prepare", "--corpus", "--corpus has no value", "write --corpus VALUE"),
    ("prepare", "--", "''", "known are"),
    ("prepare", "--scale full --scale text", "--scale", "give it once"),
    ("prepare", "--generation 3", "'generation'", "known are study, scale"),
    ("recurse_step", "--genration 3", "'genration'", "did you mean generation"),
    ("report", "--generation 3", "'generation'", "did you mean generations"),
    ("recurse_step", "--kind fresh", "kind", "give arm=NAME"),
    ("baseline", "--kind fresh", "'kind'", "--help"),
    # Numbers: types and ranges.
    ("experiment", "--seeds 0", "seeds=0", "from 1 to 40"),
    ("experiment", "--seeds 1.5", "seeds='1.5'", "a whole number"),
    ("experiment", "--seeds 99999", "seeds=99999", "from 1 to 40"),
    ("experiment", "--generations -1", "generations=-1", "from 0 to 1000"),
    ("experiment", "--generations 1e30", "generations=1e30", "from 0 to 1000"),
    ("experiment", "--workers -1", "workers=-1", "0 or more"),
    ("recurse_step", "--seed -1", "seed=-1", "0 or more"),
    ("recurse_step", "--generation 0", "generation=0", "entry point baseline"),
    ("recurse_step", "--generation 100000000", "generation=100000000", "at most 1000"),
    ("quality", "--generation -1", "generation=-1", "from 0 to 1000"),
    ("baseline", "--generation 1", "generation=1", "must be 0"),
    ("baseline", "--learning_rate nan", "learning_rate='nan'", "a number"),
    ("baseline", "--learning_rate 0", "learning_rate=0", "above 0"),
    ("baseline", "--clip_norm inf", "clip_norm='inf'", "a number"),
    ("baseline", "--decay_fraction 2", "decay_fraction=2", "from 0 to 1"),
    ("baseline", "--threads 100000", "threads=100000", "from 1 to 1024"),
    ("prepare", "--heldout_documents 0", "heldout_documents=0", "from 1 to 1000000"),
    ("prepare", "--heldout_documents 10000000000", "heldout_documents=10000000000", "from 1 to"),
    ("prepare", "--corpus_documents -1", "corpus_documents=-1", "0 or more"),
    ("recurse_step", "--rerun perhaps", "rerun='perhaps'", "true or false"),
    # Choices.
    ("baseline", "--optimizer sgd", "optimizer=sgd", "one of muon, adamw"),
    ("baseline", "--precision fp8", "precision=fp8", "float32, bf16, fp16"),
    ("baseline", "--device tpu", "device=tpu", "auto, cpu, cuda"),
    ("recurse_step", "--start middle", "start=middle", "parent, fresh"),
    ("recurse_step", "--ancestors maybe", "ancestors=maybe", "build, require"),
    ("recurse_step", "--keep_texts best", "keep_texts=best", "one of all, distinct"),
    # Names, which become experiments, registered models and folders.
    ("experiment", "--name ../x", "name=../x", "letters, digits, - and _"),
    ("experiment", "--name /etc/x", "name=/etc/x", "letters, digits, - and _"),
    ("experiment", '--name "a\nb"', r"name='a\nb'", "letters, digits, - and _"),
    ("experiment", '--name "a\0b"', r"name='a\x00b'", "letters, digits, - and _"),
    ("experiment", '--name ""', "name=''", "letters, digits, - and _"),
    ("experiment", "--name " + 100 * "a/", "name='a/a/", "letters, digits, - and _"),
    ("recurse_step", "--arm ../../x", "'../../x'", "known are replace, fresh"),
    ("recurse_step", "--arm replce", "'replce'", "did you mean replace"),
    ("experiment", "--arms fersh", "'fersh'", "did you mean fresh"),
    ("experiment", "--arms fresh,fresh", "arms=fresh,fresh", "none of them twice"),
    ("experiment", '--arms ""', "arms=''", "names separated by commas"),
    ("report", "--arms nobody", "'nobody'", "known are replace, fresh"),
    ("experiment", "--scale txet", "'txet'", "did you mean text"),
    ("experiment", "--scale ../x", "'../x'", "known are full, pair, trial, text"),
    ("report", "--study quikstart", "'quikstart'", "did you mean quickstart"),
    ("experiment", "--study ../studies/quickstart", "study=../studies", "ends in .yaml"),
    ("experiment", "--study nowhere.yaml", "'nowhere.yaml'", "path of a .yaml file"),
    ("experiment", '--study "s/a b.yaml"', "'a b.yaml'", "letters, digits, - and _"),
    # Corpora.
    ("prepare", "--corpus empty.txt", "'empty.txt'", "give one with text"),
    ("prepare", "--corpus spaces.txt", "'spaces.txt'", "about 125 documents"),
    ("prepare", "--corpus binary.txt", "binary.txt line 1", "null byte"),
    ("prepare", "--corpus zeros.txt", "zeros.txt line 1", "save it as UTF-8"),
    ("prepare", "--corpus utf16.txt", "utf16.txt line 1", "iconv -f UTF-16 -t UTF-8"),
    ("prepare", "--corpus utf16_bare.txt", "utf16_bare.txt line 1", "UTF-16; save it as UTF-8"),
    ("prepare", "--corpus latin1.txt", "latin1.txt line 1", "iconv -f LATIN1 -t UTF-8"),
    ("prepare", "--corpus one_line.txt", "its 1 distinct documents", "cut long documents"),
    ("prepare", "--corpus same.txt", "its 1 distinct documents", "take a larger corpus"),
    ("prepare", "--corpus few.txt", "its 3 distinct documents", "about 125 are needed"),
    ("prepare", "--corpus good.txt --corpus_documents 10", "its 10 distinct", "about 125"),
    ("prepare", "--corpus bad.jsonl", "bad.jsonl line 2", "each line must be one object"),
    ("prepare", "--corpus deep.jsonl", "deep.jsonl line 1", "each line must be one object"),
    ("prepare", "--corpus field.jsonl", "'story'", "no field 'text'"),
    ("prepare", "--corpus number.jsonl", "is int", "not text"),
    ("prepare", "--corpus bad.parquet", "bad.parquet", "write it again"),
    ("prepare", "--corpus table.csv", "'.csv'", ".txt, .jsonl or .parquet"),
    ("prepare", "--corpus folder_empty", "'folder_empty'", "no .txt, .jsonl or .parquet"),
    ("prepare", "--corpus folder_binary", "'folder_binary'", "no .txt, .jsonl or .parquet"),
    ("prepare", "--corpus folder_loop", "'folder_loop'", "no .txt, .jsonl or .parquet"),
    ("prepare", "--corpus folder_loop/self.txt", "'folder_loop/self.txt'", "check the path"),
    ("prepare", "--corpus ./nowhere", "'./nowhere'", "check the path"),
    ("prepare", "--corpus /dev/zero", "'/dev/zero'", ".txt, .jsonl or .parquet"),
    ("prepare", "--corpus storeis", "'storeis'", "'stories'"),
    ("prepare", '--corpus ""', "corpus=''", "a name or a path"),
    ("baseline", "--preset ~nobody-here/model", "preset=~nobody-here/model", "a user who is"),
    ("prepare", "--corpus roneneldan/TinyStories", "'roneneldan/TinyStories'", "embedded corpus"),
    ("prepare", "--corpus python:", "'python:'", "python:numpy,torch"),
    ("prepare", "--corpus python:nosuchpackage", "'nosuchpackage'", "pip list"),
    ("prepare", "--corpus python:../x==1", "'../x==1'", "NAME or NAME==VERSION"),
    ("prepare", "--corpus python:numpy==../../x", "'numpy==../../x'", "NAME==VERSION"),
    ("prepare", "--corpus a=good.txt+a=good.txt", "'a'", "comes twice"),
    ("prepare", "--corpus a=good.txt", "'a=good.txt'", "two or more"),
    ("prepare", "--corpus simple:stories", "'simple:stories'", "only a file, folder"),
    ("baseline", "--training_text simpel", "training_text=simpel", "all, simple and complex"),
    # Tokenizers.
    ("prepare", "--vocabulary_size 10", "vocabulary_size 10", "258 or more"),
    ("prepare", "--vocabulary_size 5000000000", "vocabulary_size=5000000000", "to 1000000"),
    ("prepare", "--tokenizer characters --vocabulary_size 3", "vocabulary_size 3", "at least one"),
    ("prepare", "--tokenizer ./nowhere", "'./nowhere'", "give one with tokenizer.json"),
    ("prepare", "--tokenizer m_empty", "'m_empty'", "tokenizer.json"),
    ("prepare", "--tokenizer wordpiece", "tokenizer 'wordpiece'", "'bpe' or 'characters'"),
    # Models: presets and their changes.
    ("baseline", "--preset pockt", "'pockt'", "did you mean 'pocket'"),
    ("baseline", '--preset ""', "preset=''", "a name or a path"),
    ("baseline", "--preset_overrides hidden_sice=3", "'hidden_sice'", "'hidden_size'"),
    ("baseline", "--preset_overrides hidden_size", "'hidden_size'", "KEY=VALUE"),
    ("baseline", "--preset_overrides hidden_size=", "hidden_size=None", "a whole number above 0"),
    ("baseline", "--preset_overrides hidden_size=-4", "hidden_size=-4", "above 0"),
    ("baseline", "--preset_overrides hidden_size=big", "hidden_size='big'", "a whole number"),
    ("baseline", "--preset_overrides num_hidden_layers=1.5", "layers=1.5", "a whole number"),
    ("baseline", "--preset_overrides max_position_embeddings=x", "='x'", "a whole number"),
    ("baseline", "--preset_overrides hidden_size=64,hidden_size=32", "hidden_size", "give it once"),
    ("baseline", "--preset_overrides qk_norm=maybe", "qk_norm='maybe'", "true or false"),
    ("baseline", "--preset_overrides rope_theta=.nan", "rope_theta=nan", "a number above 0"),
    ("baseline", "--preset_overrides hidden_size=130", "hidden_size=130", "a multiple of 4"),
    ("baseline", "--preset_overrides num_attention_heads=3", "size=64", "a multiple of 3"),
    ("baseline", "--preset_overrides norm=batch", "norm='batch'", "known are rms, layer"),
    ("baseline", "--preset_overrides vocab_size=7", "vocab_size=7", "leave vocab_size out"),
    ("baseline", "--preset_overrides hidden_size=!!python/name:os.system", "os.system", "no value"),
    ("baseline", "--preset m_whole --preset_overrides hidden_size=3", "hidden_size=3", "presets"),
    # Models: folders and names on the hub.
    ("baseline", "--preset ./nowhere", "'./nowhere'", "give a folder with config.json"),
    ("baseline", "--preset m_empty", "'m_empty'", "no config.json"),
    ("baseline", "--preset m_config", "'m_config'", "no weights (*.safetensors)"),
    ("baseline", "--preset m_pickle", "pytorch_model.bin", "save it as safetensors"),
    ("baseline", "--preset m_tokenless", "'m_tokenless'", "another by tokenizer=PATH"),
    ("baseline", "--preset m_damaged", "model.safetensors", "copy it again"),
    ("baseline", "--preset m_cut", "4 bytes are missing", "copy it again"),
    ("baseline", "--preset m_encoder", "BertForMaskedLM", "ForCausalLM"),
    ("baseline", "--preset m_code", "'evil'", "a model that transformers knows"),
    ("baseline", "--preset m_bad_config", "'m_bad_config'", "config.json cannot be read"),
    ("baseline", "--preset m_list_config", "'m_list_config'", "no table of settings"),
    ("baseline", "--preset Qwen/Qwen2.5-0.5B", "'Qwen/Qwen2.5-0.5B'", "local model folder"),
    ("quality", "--judge ./nowhere", "'./nowhere'", "give a folder with config.json"),
    ("quality", "--judge m_empty", "'m_empty'", "give a folder with config.json"),
    ("quality", "--judge m_pickle", "pytorch_model.bin", "save it as safetensors"),
    ("baseline", "--teacher replac --arm fresh", "teacher=replac", "did you mean replace"),
    ("baseline", "--teacher replace --arm replace", "teacher=replace", "must be another arm"),
    ("baseline", "--teacher m_config", "'m_config'", "no weights"),
    # Settings of training that do not go together.
    ("baseline", "--sequence_length 512", "sequence_length=512", "raise max_position_embeddings"),
    ("baseline", "--tokens_per_step 2000", "tokens_per_step=2000", "1920 would be"),
    ("baseline", "--warmup_steps 5000", "warmup_steps=5000", "lower it"),
    ("recurse_step", "--warmup_steps 500", "warmup_steps=500", "steps=60"),
    ("baseline", "--checkpoint_tokens 4096,2048", "checkpoint_tokens=4096,2048", "rising"),
    ("baseline", "--checkpoint_tokens 1e12", "1000000000000", "end of training, which is 512000"),
    ("baseline", "--checkpoint_tokens 2048,2049", "2048 and 2049", "leave one out"),
    ("baseline", "--freeze nosuch", "freeze=nosuch", "they end in"),
    ("baseline", "--freeze weight", "freeze=weight", "name fewer"),
    # Sampling.
    ("recurse_step", "--temperature nan", "temperature='nan'", "a number"),
    ("recurse_step", "--temperature -1", "temperature=-1", "0 or more"),
    ("recurse_step", "--temperature 1e-40", "temperature=1e-40", "at least 1e-06"),
    ("recurse_step", "--top_p 0", "top_p=0", "above 0 and at most 1"),
    ("recurse_step", "--top_k -3", "top_k=-3", "0 or more"),
    ("recurse_step", "--beams 3", "beams=3", "temperature=0"),
    ("recurse_step", "--beams 3 --temperature 0 --decodings 1/0/1", "beams=3", "leave one of them"),
    ("recurse_step", "--decodings 0.8/50", "decodings=0.8/50", "TEMPERATURE/TOP_K/TOP_P"),
    ("recurse_step", "--max_new_tokens 0", "max_new_tokens=0", "above 0"),
    ("recurse_step", "--arm mixed --synthetic_fraction 1.2", "=1.2", "from 0 to 1"),
    # Probes.
    ("quality", "--samples 0", "samples=0", "above 0"),
    ("quality", "--completions yes", "completions=yes", "auto, python, none"),
    ("hessian", "--probe_tokens 64", "probe_tokens=64", "sequence_length=128"),
    ("hessian", "--outliers 60", "outliers=60", "ask for fewer"),
    ("hessian", "--lanczos_steps 5", "lanczos_steps=5", "30 or more"),
    ("hessian", "--backend pyhessian --overlap true", "overlap=true", "backend=lanczos"),
    ("mechanism", "--landscape_points 4", "landscape_points=4", "odd"),
    ("mechanism", "--probe_tokens 1", "probe_tokens=1", "sequence_length=128"),
    ("svd_probe", "--site after", "site=after", "projection, post_norm, post_rope"),
    ("svd_probe", "--rank_tokens 0", "rank_tokens=0", "above 0"),
    ("surgery", "--prune_by gamma", "prune_by=gamma", "preset_overrides=qk_norm=true"),
    ("surgery", "--prune_at after_norm", "prune_at=after_norm", "qk_norm=true"),
    ("surgery", "--prune_percents 0,100", "prune_percents=0,100", "from 0 to 90"),
    ("surgery", "--prune_percents 0", "prune_percents=0", "one above 0"),
    # Tasks.
    ("benchmark", "--tasks helaswag", "'helaswag'", "did you mean hellaswag"),
    ("benchmark", "--tasks piqa,piqa", "tasks=piqa,piqa", "none of them twice"),
    ("benchmark", "--tasks piqa --task_data ./nowhere", "task_data=./nowhere", "or stories"),
    ("benchmark", "--tasks squad --task_data t_fields", "squad/validation.jsonl", "put it there"),
    ("benchmark", "--tasks piqa --task_data t_fields", "row 1", "has no 'sol1'"),
    ("benchmark", "--tasks piqa --task_data t_json", "row 1", "is no JSON"),
    ("benchmark", "--tasks piqa --task_data t_binary", "byte 128", "save it as JSON lines"),
    ("benchmark", "--tasks piqa --task_data t_empty", "validation.jsonl", "a line of JSON"),
    ("benchmark", "--tasks piqa --task_data hub", "'baber/piqa'", "task_data=stories"),
]

_ARMS = "arms: {replace: {}, fresh: {}}\ncontrol: fresh\nprobes: [quality]\n"
_CLAIM = (
    "claims: [{id: c, statement: s, indicator: human/nll_nats, direction: increase, margin: 0.1,"
    " contrast: [replace, fresh], refuted_if: r}]\n"
)


def _claim(old: str, new: str) -> str:
    assert old in _CLAIM
    return _ARMS + _CLAIM.replace(old, new)


_BOMB = "question: &a [x, x]\narms: &b [*a, *a]\nclaims: [*b, *b]\n"

STUDY_FILES = [
    # No study file at all.
    ("", "a study file", "question, arms, control and settings"),
    ("- 1", "a study file", "mapping"),
    ("arms: [", "line 1", "YAML"),
    ("arms:\n\tfresh: {}", "line 2", "cannot start any token"),
    (bytes(range(256)), "byte 128", "save it as UTF-8"),
    ("arms: \0", "#x0000", "not allowed"),
    (_ARMS + "---\n" + _ARMS, "line 4", "another document"),
    ("question: " + 5000 * "[", "brackets", "too deep"),
    (_ARMS + "question: " + 300_000 * "x", "bytes", "200000 at most"),
    (_BOMB, "line 2: the alias *a", "write that value out"),
    ("arms: !!python/object/apply:os.system ['touch evil']", "os.system", "write plain ones"),
    ("arms: !!python/name:os.system", "os.system", "write plain ones"),
    ("arms: {fresh: {}}\n" + _ARMS, "'arms'", "leave one out"),
    (_ARMS + "settings:\n  steps: 3\n  steps: 4\n", "line 6: the key 'steps'", "leave one out"),
    # Keys, arms, probes.
    (_ARMS + "surprise: 1", "'surprise'", "known are arms"),
    (_ARMS + "setings: {steps: 3}", "'setings'", "did you mean settings"),
    (_ARMS + "question: [a, b]", "question is a list", "write a sentence"),
    ("control: fresh", "no arms", "write arms:"),
    ("arms: [fresh]\ncontrol: fresh", "arms is a list", "a mapping"),
    ("arms: {fresh: quick}\ncontrol: fresh", "'quick'", "a mapping"),
    ("arms: {1: {kind: fresh}}\ncontrol: 1", "the key 1", "write it in quotes"),
    ("arms: {../x: {kind: fresh}}\ncontrol: ../x", "'../x'", "letters, digits, - and _"),
    ("arms: {odd: {}}\ncontrol: odd", "arm 'odd'", "needs a kind: one of replace"),
    ("arms: {odd: {kind: repalce}}\ncontrol: odd", "kind=repalce", "one of replace"),
    ("arms: {fresh: {}}", "control ''", "name the arm"),
    ("arms: {fresh: {}}\ncontrol: frehs", "'frehs'", "one of the arms fresh"),
    ("arms: {fresh: {}}\ncontrol: [fresh]", "control a list", "name the arm"),
    (_ARMS.replace("quality", "hesian"), "'hesian'", "did you mean hessian"),
    (_ARMS.replace("[quality]", "quality"), "'quality'", "it must be a list"),
    (_ARMS.replace("quality", "quality, quality"), "probe quality", "leave one out"),
    # Arms that stand on each other.
    ("arms: {a: {kind: fresh, teacher: a}}\ncontrol: a", "arm 'a'", "another arm"),
    (
        "arms: {a: {kind: fresh, teacher: b}, b: {kind: fresh, teacher: a}}\ncontrol: a",
        "learns from b, which learns from a",
        "one without a teacher",
    ),
    (
        "arms: {a: {kind: fresh, teacher: b}, b: {kind: fresh, teacher: c},"
        " c: {kind: fresh, teacher: a}}\ncontrol: a",
        "learns from b, which learns from c",
        "one without a teacher",
    ),
    # Settings.
    (_ARMS + "settings: [1]", "settings is a list", "a mapping"),
    (_ARMS + "settings: {stepz: 3}", "'stepz'", "did you mean steps"),
    (_ARMS + "settings: {arm: fresh}", "arm", "on the command line"),
    (_ARMS + "settings: {steps: -3}", "steps=-3", "above 0"),
    (_ARMS + "settings: {steps: }", "steps is empty", "write one value"),
    (_ARMS + "settings: {corpus: [a]}", "corpus is a list", "write one value"),
    (_ARMS + "settings: {steps: true}", "steps=True", "a whole number"),
    (_ARMS + "settings: {learning_rate: fast}", "learning_rate='fast'", "a number"),
    (_ARMS + "settings: {seeds: 0}", "seeds=0", "from 1 to 40"),
    ("arms: {fresh: {stepz: 3}}\ncontrol: fresh", "'stepz'", "did you mean steps"),
    (_ARMS + "scales: [cpu]", "scales is a list", "a mapping"),
    # Claims.
    (_ARMS + "claims: {id: c}", "claims is a mapping", "a list"),
    (_ARMS + "claims: [it does]", "'it does'", "a mapping"),
    (_claim("refuted_if: r", "refuted_when: r"), "claim 'c'", "no refuted_if: write it"),
    (_claim("refuted_if: r", "refuted_if: r, colour: red"), "'colour'", "known are id, statement"),
    (_claim("refuted_if: r", "refuted_if: 3"), "refuted_if is 3", "write words"),
    (_claim("increase", "rises"), "'rises'", "increase, decrease, similar"),
    (_claim("0.1", "-1"), "margin is -1.0", "0 or more"),
    (_claim("0.1", "much"), "margin is 'much'", "write a number"),
    (_claim("0.1", ".nan"), "margin is nan", "0 or more"),
    (_claim("[replace, fresh]", "[replce, fresh]"), "'replce'", "did you mean replace"),
    (_claim("[replace, fresh]", "[replace, fresh, replace]"), "contrast is", "two different arms"),
    (_claim("[replace, fresh]", "replace"), "contrast is 'replace'", "a list"),
    (_claim("human/nll_nats", "human/nll_nat"), "'human/nll_nat'", "did you mean human/nll_nats?"),
    (_claim("human/nll_nats", "human/loss"), "'human/loss'", "there are nll_nats, bits_per_byte"),
    (_claim("human/nll_nats", "fluency"), "'fluency'", "begin with one of human"),
    (_claim("human/nll_nats", "hessian/human/trace"), "by hessian", "probes: [quality, hessian]"),
    (_claim("refuted_if: r", "refuted_if: r, generation: 99"), "generation is 99", "last one is 3"),
    (_claim("refuted_if: r", "refuted_if: r, generation: end"), "'end'", "a whole number"),
]

_CONFIG = {"model_type": "llama", "architectures": ["LlamaForCausalLM"]}
_FOREIGN = {"model_type": "evil", "auto_map": {"AutoModelForCausalLM": "evil.Evil"}}


def _safetensors(bytes_there: int) -> bytes:
    """A file of one tensor of eight bytes, with so many of them."""
    header = json.dumps({"w": {"dtype": "F32", "shape": [2], "data_offsets": [0, 8]}}).encode()
    return len(header).to_bytes(8, "little") + header + bytes(bytes_there)


_WHOLE = _safetensors(8)
_STORIES = "\n\n".join(f"A story about number {n}." for n in range(2000))

FILES: dict[str, str | bytes] = {
    "empty.txt": "",
    "spaces.txt": 100 * " \n\n",
    "binary.txt": 40 * bytes(range(256)),
    "zeros.txt": bytes(1000),
    "utf16.txt": (100 * "A story.\n\n").encode("utf-16"),
    "utf16_bare.txt": (100 * "A story.\n\n").encode("utf-16-le"),
    "latin1.txt": (100 * "café au lait\n\n").encode("latin-1"),
    "one_line.txt": 10_000_000 * b"word ",
    "same.txt": 500 * "The same story again.\n\n",
    "few.txt": "One.\n\nTwo.\n\nThree.\n\n",
    "good.txt": _STORIES,
    "bad.jsonl": '{"text": "a"}\n{"text": \n',
    "deep.jsonl": 100_000 * "[",
    "field.jsonl": '{"story": "a"}\n',
    "number.jsonl": '{"text": 3}\n',
    "bad.parquet": "PAR1 nothing of the kind",
    "table.csv": "a,b",
    "s/a b.yaml": _ARMS,
    "folder_empty/readme.md": "hello",
    "folder_binary/picture.png": b"\x89PNG",
    "m_empty/readme.md": "",
    "m_config/config.json": json.dumps(_CONFIG),
    "m_pickle/config.json": json.dumps(_CONFIG),
    "m_pickle/pytorch_model.bin": b"\x80\x02nothing",
    "m_pickle/tokenizer.json": "{}",
    "m_whole/config.json": json.dumps(_CONFIG),
    "m_whole/model.safetensors": _WHOLE,
    "m_whole/tokenizer.json": "{}",
    "m_tokenless/config.json": json.dumps(_CONFIG),
    "m_tokenless/model.safetensors": _WHOLE,
    "m_damaged/config.json": json.dumps(_CONFIG),
    "m_damaged/model.safetensors": bytes(8),
    "m_cut/config.json": json.dumps(_CONFIG),
    "m_cut/model.safetensors": _safetensors(4),
    "m_encoder/config.json": json.dumps({"architectures": ["BertForMaskedLM"]}),
    "m_encoder/model.safetensors": _WHOLE,
    "m_code/config.json": json.dumps(_CONFIG | _FOREIGN),
    "m_code/model.safetensors": _WHOLE,
    "m_code/tokenizer.json": "{}",
    "m_code/evil.py": "open('evil', 'w').close()",
    "m_bad_config/config.json": "{",
    "m_bad_config/model.safetensors": _WHOLE,
    "m_list_config/config.json": "[1]",
    "m_list_config/model.safetensors": _WHOLE,
    "t_fields/piqa/validation.jsonl": '{"goal": "g"}\n',
    "t_json/piqa/validation.jsonl": '{"goal": \n',
    "t_binary/piqa/validation.jsonl": bytes(range(256)),
    "t_empty/piqa/validation.jsonl": "",
}


def write_files(folder: Path) -> None:
    """Write everything that the calls name, links in a circle among it."""
    for name, content in FILES.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
    (folder / "folder_loop").mkdir()
    (folder / "folder_loop" / "again").symlink_to(".")
    (folder / "folder_loop" / "self.txt").symlink_to("self.txt")
