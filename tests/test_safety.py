"""What is trusted and what is not (docs/safety.md), proved over the sources and by attacks."""

import ast
import json
import os
import subprocess
import sys
import zipfile
from collections.abc import Callable, Iterator
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path

import pytest

from analysis.report.writing import write_report
from collapse.errors import BadCorpus, BadModel, BadParameter, CollapseError, DamagedCheckpoint
from collapse.language.checkpoint import MANIFEST, verify_checkpoint
from collapse.language.corpora.package_index import WheelPackage
from collapse.language.pretrained import load_model
from collapse.parameters.fields import NAME, is_name
from collapse.parameters.study import load_study
from tests.analysis.made_up_study import made_up_study, only
from tests.conftest import ROOT, environment

SOURCES = sorted(
    path
    for room in ("collapse", "analysis", "entrypoints", "bench")
    for path in (ROOT / room).rglob("*.py")
)
SAFETENSORS_ONLY = ("AutoModel.from_pretrained", "AutoModelForCausalLM.from_pretrained")
"""Calls that would also read a pickle unless told not to."""
LOADERS = (*SAFETENSORS_ONLY, "AutoConfig.from_pretrained", "AutoTokenizer.from_pretrained")
"""Calls that would also run a folder's own code, or ask whether they may."""
EXECUTE = {
    "eval", "exec", "compile", "__import__", "os.system", "os.popen", "pickle.load", "pickle.loads",
    "pickle.Unpickler", "dill.load", "dill.loads", "joblib.load", "marshal.loads", "shelve.open",
    "pd.read_pickle", "pandas.read_pickle", "torch.hub.load", "runpy.run_path",
    "runpy.run_module", "yaml.load", "yaml.load_all", "yaml.full_load", "yaml.unsafe_load",
    "shutil.unpack_archive", "tarfile.open",
}  # fmt: skip
"""Calls that can run, or write anywhere, what somebody else wrote."""


def calls(source: str) -> Iterator[tuple[str, ast.Call]]:
    """The calls of a module by the dotted name that is called."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Call):
            yield ast.unparse(node.func), node


def is_set(call: ast.Call, name: str, value: object) -> bool:
    """Whether a call passes a literal value by name."""
    return any(
        one.arg == name and isinstance(one.value, ast.Constant) and one.value.value is value
        for one in call.keywords
    )


def faults(source: str) -> list[str]:
    """What of a module could run what somebody else wrote."""
    found = []
    for name, call in calls(source):
        last = name.rpartition(".")[2]
        if name in EXECUTE or last in {"extractall", "extract"}:
            found.append(f"line {call.lineno}: {name}")
        if name == "torch.load" and not is_set(call, "weights_only", True):
            found.append(f"line {call.lineno}: torch.load without weights_only=True")
        for word in ("shell", "allow_pickle", "trust_remote_code"):
            wrong = [
                one for one in call.keywords if one.arg == word and not is_set(call, word, False)
            ]
            if wrong:
                found.append(f"line {call.lineno}: {word} is not plainly False")
        found += [f"line {call.lineno}: {fault}" for fault in loading_faults(name, call)]
    return found


def loading_faults(name: str, call: ast.Call) -> Iterator[str]:
    """What a call of transformers leaves open; options in a dictionary are looked at elsewhere."""
    options = any(one.arg is None for one in call.keywords)
    if name in LOADERS and not options and not is_set(call, "trust_remote_code", False):
        yield f"{name} without trust_remote_code=False"
    if name in SAFETENSORS_ONLY and not is_set(call, "use_safetensors", True):
        yield f"{name} without use_safetensors=True"


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: path.relative_to(ROOT).as_posix())
def test_no_module_runs_what_somebody_else_wrote(path: Path) -> None:
    assert faults(path.read_text(encoding="utf-8")) == []


def test_options_that_travel_in_a_dictionary_are_false_too() -> None:
    """`{"trust_remote_code": ...}` is False wherever it is written."""
    found = 0
    for path in SOURCES:
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            keys = node.keys if isinstance(node, ast.Dict) else []
            for key, value in zip(keys, getattr(node, "values", []), strict=False):
                if isinstance(key, ast.Constant) and key.value == "trust_remote_code":
                    assert isinstance(value, ast.Constant)
                    assert value.value is False
                    found += 1
    assert found >= 2


@pytest.mark.parametrize(
    "source",
    [
        "eval(text)",
        "import os\nos.system(text)",
        "import pickle\npickle.load(file)",
        "import torch\ntorch.load(path)",
        "import torch\ntorch.load(path, weights_only=False)",
        "import yaml\nyaml.load(text, Loader=yaml.Loader)",
        "import subprocess\nsubprocess.run(text, shell=True)",
        "import numpy as np\nnp.load(path, allow_pickle=True)",
        "archive.extractall(folder)",
        "AutoTokenizer.from_pretrained(folder)",
        "AutoModel.from_pretrained(folder, trust_remote_code=True)",
        "AutoModel.from_pretrained(folder, trust_remote_code=asked)",
        "AutoModelForCausalLM.from_pretrained(folder, **options)",
    ],
)
def test_the_search_itself_finds(source: str) -> None:
    assert faults(source)


class Attack:
    """A pickle that leaves a mark where it is read."""

    def __init__(self, mark: Path) -> None:
        self.mark = mark

    def __reduce__(self) -> tuple[Callable, tuple]:
        return (Path.touch, (self.mark,))


def test_weights_in_a_pickle_are_never_read(tmp_path: Path) -> None:
    import torch

    folder, mark = tmp_path / "model", tmp_path / "mark"
    folder.mkdir()
    config = {"model_type": "gpt2", "architectures": ["GPT2LMHeadModel"]}
    (folder / "config.json").write_text(json.dumps(config))
    torch.save({"w": Attack(mark)}, folder / "pytorch_model.bin")
    with pytest.raises(BadModel, match=r"pytorch_model\.bin, a pickle.*save it as safetensors"):
        load_model(folder)
    # Beside whole weights it is passed over.
    (folder / "model.safetensors").write_bytes((2).to_bytes(8, "little") + b"{}")
    with pytest.raises(BadModel, match="the weights lack"):
        load_model(folder)
    assert not mark.exists()
    torch.load(folder / "pytorch_model.bin", weights_only=False)
    assert mark.exists()  # the attack is a real one


def test_a_models_own_code_is_not_run(tmp_path: Path) -> None:
    mark = tmp_path / "mark"
    folder = tmp_path / "model"
    folder.mkdir()
    own = {"AutoConfig": "evil.Evil", "AutoModelForCausalLM": "evil.Evil"}
    for kind, says in (("evil", "code of its own, which is not run"), ("gpt2", "the weights lack")):
        config = {"model_type": kind, "architectures": ["EvilForCausalLM"], "auto_map": own}
        (folder / "config.json").write_text(json.dumps(config))
        (folder / "evil.py").write_text(f"open({str(mark)!r}, 'w').close()")
        (folder / "model.safetensors").write_bytes((2).to_bytes(8, "little") + b"{}")
        with pytest.raises(BadModel, match=says):
            load_model(folder)
    assert not mark.exists()


OUTSIDE = [
    "../evil.py",
    "/tmp/evil.py",
    "tiny/../../evil.py",
    "tiny-1.data/purelib/../../../evil.py",
    "C:\\evil.py",
    "..\\evil.py",
]


@pytest.mark.parametrize("name", OUTSIDE)
def test_names_in_an_archive_cannot_leave_their_folder(tmp_path: Path, name: str) -> None:
    """A wheel is read, never unpacked; a name that would lie elsewhere is refused all the same."""
    wheel = tmp_path / "packages" / "tiny-1.whl"
    wheel.parent.mkdir()
    with zipfile.ZipFile(wheel, "w") as archive:
        archive.writestr("tiny/good.py", "good = True\n")
        archive.writestr(name, "evil = True\n")
    package = WheelPackage("tiny", "1", wheel)
    for read in (package.paths, lambda: list(package.sources(100))):
        with pytest.raises(BadCorpus, match=r"outside of its folder.*delete"):
            read()
    assert [path.name for path in tmp_path.rglob("*")] == ["packages", "tiny-1.whl"]


def test_links_in_an_archive_are_refused(tmp_path: Path) -> None:
    wheel = tmp_path / "tiny-1.whl"
    link = zipfile.ZipInfo("tiny/link.py")
    link.external_attr = 0o120777 << 16
    with zipfile.ZipFile(wheel, "w") as archive:
        archive.writestr(link, "/etc/passwd")
    with pytest.raises(BadCorpus, match=r"tiny/link\.py.*is a link"):
        WheelPackage("tiny", "1", wheel).paths()


@pytest.mark.parametrize("name", ["../secret", "/etc/hostname", "a/../../secret"])
def test_a_manifest_names_nothing_outside_its_folder(tmp_path: Path, name: str) -> None:
    folder = tmp_path / "checkpoint"
    folder.mkdir()
    (tmp_path / "secret").write_text("secret")
    (folder / MANIFEST).write_text(json.dumps({name: "0" * 64}))
    with pytest.raises(DamagedCheckpoint, match="outside of the folder"):
        verify_checkpoint(folder)


@pytest.mark.parametrize(
    "name", ["../x", "/x", "a/b", "a\\b", "a\0b", "a\nb", "..", ".", "", " ", "a b", "a:b", "a%2fb"]
)
def test_no_name_can_be_a_path(tmp_path: Path, name: str) -> None:
    """Studies, arms and experiments name folders, experiments and registered models."""
    assert not is_name(name)
    assert not NAME.check(name)
    file = tmp_path / "mine.yaml"
    file.write_text(json.dumps({"arms": {name: {"kind": "fresh"}}, "control": name}))
    with pytest.raises(BadParameter):
        load_study(str(file))
    with pytest.raises(CollapseError):
        load_study(name)


ATTACKS = (
    "<script>alert(1)</script>",
    "{{ 7*7 }}",
    "{% for x in y %}",
    "<img src=x onerror=alert(1)>",
)


class Tags(HTMLParser):
    """Gathers tags, attributes and text of a page."""

    def __init__(self) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.attributes: list[str] = []
        self.text = ""

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.attributes += [name for name, _ in attrs]

    def handle_data(self, data: str) -> None:
        self.text += data


def test_generated_text_is_shown_and_never_run(tmp_path: Path) -> None:
    record = only(made_up_study(), "own/nll_nats")
    attack = " ".join(ATTACKS)
    record = replace(record, samples=record.samples.assign(text=attack), question=attack)
    page = write_report(record, tmp_path).read_text(encoding="utf-8")
    seen = Tags()
    seen.feed(page)
    assert not {"script", "iframe", "object", "embed"} & set(seen.tags)
    assert not [name for name in seen.attributes if name.startswith("on")]
    assert "onerror" in seen.text
    for one in ATTACKS:
        assert one in seen.text


def test_generated_code_is_parsed_and_never_run(tmp_path: Path) -> None:
    from collapse.numerics.completion_classes import classify_completion

    mark = tmp_path / "mark"
    attack = f"    open({str(mark)!r}, 'w').close()\n    return __import__('os').getcwd()\n"
    assert classify_completion(attack) in {"good", "partial", "repetitive", "noise"}
    assert not mark.exists()


def test_reading_corpora_and_looking_for_packages_imports_none(tmp_path: Path) -> None:
    """A package as a corpus is read as text: nothing in it is imported."""
    house = tmp_path / "evil_package-1.dist-info"
    house.mkdir()
    (tmp_path / "evil_package.py").write_text(f"open({str(tmp_path / 'mark')!r}, 'w').close()\n")
    (house / "METADATA").write_text("Metadata-Version: 2.1\nName: evil-package\nVersion: 1\n")
    (house / "RECORD").write_text("evil_package.py,,\n")
    code = (
        "from collapse.language.corpora.source import open_source\n"
        "print(*open_source('python:evil-package').documents())\n"
    )
    variables = environment()
    variables["PYTHONPATH"] += f":{tmp_path}"
    made = subprocess.run(
        [sys.executable, "-c", code], env=variables, cwd=tmp_path, capture_output=True, text=True
    )
    assert "mark" in made.stdout, made.stderr
    assert not (tmp_path / "mark").exists()


@pytest.mark.parametrize(("before", "after"), [(None, "true"), ("false", "false")])
def test_entry_points_tell_mlflow_to_report_nothing_unless_the_user_says_so(
    before: str | None, after: str
) -> None:
    """In a process that begins as a door does: mlflow reads the variable when it is imported."""
    name = "MLFLOW_DISABLE_TELEMETRY"
    others = {key: value for key, value in os.environ.items() if key != name}
    said = subprocess.run(
        [sys.executable, "-c", f"import entrypoints, os; print(os.environ['{name}'])"],
        env=others | ({} if before is None else {name: before}),
        cwd=ROOT,
        check=True,
        capture_output=True,
        text=True,
    )
    assert said.stdout.strip() == after
