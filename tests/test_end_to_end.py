"""The whole as its users meet it: MLflow's command line, its registry, kills, a whole study."""

import json
import os
import re
import signal
import socket
import sqlite3
import subprocess
import sys
import time
import urllib.request
from pathlib import Path

import mlflow
import pytest

from analysis.metrics import is_error
from collapse.parameters.metric_names import require_metric
from tests.conftest import (
    MICRO,
    ROOT,
    empty_store,
    environment,
    of_the_result,
    open_door,
)

CHAIN = "quickstart.replace.seed0"
PROBE = "--probe_tokens 256 --probe_parts 2 --probe_vectors 2 --density_steps 2 --probe_texts human"
LOOKS = [*PROBE.split(), "--tasks", "arithmetic", "--limit", "3", "--samples", "12"]
MICRO_STUDY = [*MICRO, *LOOKS, "--seeds", "2", "--generations", "1", "--workers", "1"]
PART = [*MICRO, *LOOKS, "--seeds", "1", "--generations", "1", "--workers", "2"]


def client_of(folder: Path) -> mlflow.MlflowClient:
    return mlflow.MlflowClient(f"sqlite:///{folder}/mlflow.db")


def runs(folder: Path, experiment: str = "quickstart") -> list[mlflow.entities.Run]:
    client = client_of(folder)
    known = client.get_experiment_by_name(experiment)
    return client.search_runs([known.experiment_id], order_by=["start_time ASC"], max_results=999)


def seals(folder: Path) -> dict[str, str]:
    """Name of each chain and generation to the hashes of its files."""
    client = client_of(folder)
    return {
        f"{version.name}@{version.tags['generation']}": version.tags["sha256"]
        for version in client.search_model_versions()
    }


def values(folder: Path) -> dict[tuple[str, str, int], float]:
    """Every number on every chain, but for those of time."""
    client = client_of(folder)
    found = {}
    for run in runs(folder):
        if run.data.tags["run_kind"] == "chain":
            for name in run.data.metrics:
                if of_the_result(name):
                    for one in client.get_metric_history(run.info.run_id, name):
                        found[run.info.run_name, name, one.step] = one.value
    return found


def test_mlflow_run_as_a_new_user_types_it(tmp_path: Path) -> None:
    """`mlflow run . -e recurse_step -P generation=1`: the study's experiment, under its chain."""
    store = f"sqlite:///{tmp_path}/mlflow.db"
    pairs = [f"{key[2:]}={value}" for key, value in zip(MICRO[::2], MICRO[1::2], strict=True)]
    words = [word for pair in pairs for word in ("-P", pair)]
    made = subprocess.run(
        [sys.executable, "-m", "mlflow", "run", str(ROOT), "-e", "recurse_step"]
        + ["-P", "generation=1", "--env-manager", "local", *words],
        cwd=tmp_path,
        env=environment(
            MLFLOW_TRACKING_URI=store,
            COLLAPSE_HOME=str(tmp_path / "scratch"),
            PATH=f"{Path(sys.executable).parent}:{os.environ['PATH']}",
        ),
        capture_output=True,
        text=True,
        timeout=900,
    )
    assert made.returncode == 0, made.stderr
    names = [run.info.run_name for run in runs(tmp_path)]
    assert {CHAIN, "baseline g0", "recurse_step g1"} <= set(names)
    target = next(run for run in runs(tmp_path) if run.info.run_name == "recurse_step g1")
    chain = next(run for run in runs(tmp_path) if run.info.run_name == CHAIN)
    assert target.data.tags["mlflow.parentRunId"] == chain.info.run_id
    (launcher,) = runs(tmp_path, "Default")
    assert launcher.data.tags["launched"] == target.info.run_id
    assert launcher.info.status == "FINISHED"


LOADED_ELSEWHERE = """
import json, sys, mlflow
from transformers import AutoModelForCausalLM, AutoTokenizer

mlflow.set_tracking_uri(sys.argv[1])
pipe = mlflow.transformers.load_model(f"models:/{sys.argv[2]}@gen-2")
path = mlflow.artifacts.download_artifacts(f"models:/{sys.argv[2]}@gen-2")
model = AutoModelForCausalLM.from_pretrained(path + "/model", trust_remote_code=True)
tokenizer = AutoTokenizer.from_pretrained(path + "/components/tokenizer")
assert not any(name.split(".")[0] == "collapse" for name in sys.modules)
said = []
for model, tokenizer in ((pipe.model, pipe.tokenizer), (model, tokenizer)):
    ids = tokenizer("Once", return_tensors="pt").input_ids
    said.append(model.generate(ids, max_new_tokens=5, do_sample=False)[0].tolist())
print(json.dumps(said))
"""


def test_a_version_loads_where_collapse_was_never_imported(
    micro_chain: Path, tmp_path: Path
) -> None:
    """By MLflow, and by transformers from the version's files."""
    variables = environment(HF_MODULES_CACHE=str(tmp_path))
    del variables["PYTHONPATH"]
    made = subprocess.run(
        [sys.executable, "-c", LOADED_ELSEWHERE, f"sqlite:///{micro_chain}/mlflow.db", CHAIN],
        cwd=tmp_path,
        env=variables,
        capture_output=True,
        text=True,
    )
    assert made.returncode == 0, made.stderr
    by_mlflow, by_transformers = json.loads(made.stdout.strip().splitlines()[-1])
    assert len(by_mlflow) > 5
    assert by_transformers == by_mlflow


def test_a_version_is_served_and_answers_a_prompt(micro_chain: Path, tmp_path: Path) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    variables = environment(
        MLFLOW_TRACKING_URI=f"sqlite:///{micro_chain}/mlflow.db",
        HF_MODULES_CACHE=str(tmp_path),
        PATH=f"{Path(sys.executable).parent}:{os.environ['PATH']}",
    )
    del variables["PYTHONPATH"]
    server = subprocess.Popen(
        [sys.executable, "-m", "mlflow", "models", "serve", "-m", f"models:/{CHAIN}@gen-2"]
        + ["--env-manager", "local", "--port", str(port), "--host", "127.0.0.1"],
        cwd=tmp_path,
        env=variables,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        start_new_session=True,
    )
    try:
        answer = ask(port, {"inputs": ["Once upon a time"], "params": {"max_new_tokens": 5}})
    finally:
        os.killpg(server.pid, signal.SIGKILL)
    (text,) = json.loads(answer)["predictions"]
    assert isinstance(text, str)
    assert text


def ask(port: int, content: dict) -> bytes:
    request = urllib.request.Request(
        f"http://127.0.0.1:{port}/invocations",
        json.dumps(content).encode(),
        {"Content-Type": "application/json"},
    )
    for _ in range(600):
        try:
            return urllib.request.urlopen(request, timeout=300).read()
        except urllib.error.HTTPError as error:
            raise AssertionError(error.read().decode()) from error
        except OSError:
            time.sleep(1)
    raise AssertionError("the server did not come up")


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("undisturbed")
    made = open_door(folder, "experiment", *MICRO_STUDY)
    assert made.returncode == 0, made.stderr
    (folder / "stdout").write_text(made.stdout)
    (folder / "stderr").write_text(made.stderr)
    return folder


def test_a_study_ends_in_a_report_with_a_verdict(undisturbed: Path) -> None:
    stdout = (undisturbed / "stdout").read_text()
    report = Path(stdout.strip().splitlines()[-1])
    assert report.is_file()
    page = report.read_text()
    for word in ("undecided", "quickstart", "replace", "fresh", "data:image/png;base64"):
        assert word in page
    assert 'id="origins"' in page
    assert "2 seeds can reach p = 0.5" in (undisturbed / "stderr").read_text()
    logged = [run for run in runs(undisturbed) if run.data.tags.get("stage") == "report"]
    names = {f.path for f in client_of(undisturbed).list_artifacts(logged[-1].info.run_id)}
    assert "report.html" in names


def test_arms_of_a_study_stand_on_one_generation_0(undisturbed: Path) -> None:
    found = runs(undisturbed)
    assert len([run for run in found if run.info.run_name == "baseline g0"]) == 2
    assert len([run for run in found if run.data.tags["run_kind"] == "chain"]) == 4
    sealed = seals(undisturbed)
    assert len(sealed) == 8
    assert sealed["quickstart.replace.seed0@0"] == sealed["quickstart.fresh.seed0@0"]
    assert sealed["quickstart.replace.seed0@0"] != sealed["quickstart.replace.seed1@0"]
    assert sealed["quickstart.replace.seed0@1"] != sealed["quickstart.fresh.seed0@1"]
    numbers = values(undisturbed)
    for name in ("human/nll_nats", "truth/kl_nats_per_token", "quality/distinct_2"):
        first = [numbers[f"quickstart.{arm}.seed0", name, 0] for arm in ("replace", "fresh")]
        assert first[0] == first[1]


def test_a_claim_may_be_about_whatever_chains_keep(undisturbed: Path) -> None:
    kept = {name for _, name, _ in values(undisturbed) if not is_error(name)}
    assert kept
    for name in kept:
        require_metric(name, "claim")


def test_arms_are_offered_equally_many_tokens(undisturbed: Path) -> None:
    numbers = values(undisturbed)
    offered = {
        numbers[f"quickstart.{arm}.seed{seed}", "text/tokens_offered", 1]
        for arm in ("replace", "fresh")
        for seed in (0, 1)
    }
    assert len(offered) == 1


def test_single_doors_reuse_what_the_study_made(undisturbed: Path) -> None:
    made = open_door(undisturbed, "recurse_step", "--generation", "1", "--seed", "1", *MICRO)
    assert made.returncode == 0, made.stderr
    assert "was there already" in made.stdout


WITH_QUALITY = re.sub(
    "probes: .*", "probes: [quality]", (ROOT / "studies" / "quickstart.yaml").read_text()
)


@pytest.mark.parametrize(
    ("number", "study"),
    [
        pytest.param(signal.SIGKILL, WITH_QUALITY, id="killed"),
        pytest.param(signal.SIGINT, None, id="interrupted", marks=pytest.mark.slow),
    ],
)
def test_a_killed_study_goes_on_and_ends_in_the_same_bits(
    number: signal.Signals, study: str | None, undisturbed: Path, tmp_path: Path
) -> None:
    """Killed where one of two workers trains generation 1, with another chain beside it."""
    words = PART
    if study:
        (tmp_path / "quickstart.yaml").write_text(study)
        words = ["--study", "quickstart.yaml", *PART]
    (tmp_path / "mlflow.db").write_bytes(empty_store())
    killed = subprocess.Popen(
        [sys.executable, "-m", "entrypoints.experiment", *words],
        cwd=tmp_path,
        env=environment(),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        # A shell's background job, which this test may run in, has Ctrl-C switched off.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    )
    wait_for_run(tmp_path, "recurse_step g1")
    killed.send_signal(number)
    _, stderr = killed.communicate(timeout=600)
    assert killed.returncode != 0
    if number == signal.SIGINT:
        assert "interrupted" in stderr
        assert killed.returncode == 130
        assert not statuses(tmp_path, "RUNNING")
    done_before = len(statuses(tmp_path, "FINISHED"))
    assert done_before >= 2
    again = open_door(tmp_path, "experiment", *words, "--workers", "1")
    assert again.returncode == 0, again.stderr
    assert not statuses(tmp_path, "RUNNING")
    assert len(seals(tmp_path)) == 4
    assert seals(tmp_path).items() <= seals(undisturbed).items()
    whole, found = values(undisturbed), values(tmp_path)
    part = {key for key in whole if key[0].endswith(".seed0") and key[2] < 2}
    assert (found.keys() < part) if study else (found.keys() == part)
    assert {name for _, name, _ in found} >= {"train/loss_nats", "human/nll_nats"}
    # The resolution at which it is counted is the whole study's.
    compared = {key for key in found if "negative_mass" not in key[1]}
    assert {key: found[key] for key in compared} == {key: whole[key] for key in compared}


def statuses(folder: Path, status: str) -> list[str]:
    with sqlite3.connect(folder / "mlflow.db") as store:
        rows = store.execute("select run_uuid from runs where status = ?", (status,))
        return [row[0] for row in rows]


def wait_for_run(folder: Path, name: str) -> None:
    deadline = time.monotonic() + 900
    while time.monotonic() < deadline:
        if (folder / "mlflow.db").exists():
            try:
                with sqlite3.connect(folder / "mlflow.db", timeout=5) as store:
                    query = "select 1 from runs where name = ?"
                    if store.execute(query, (name,)).fetchone():
                        return
            except sqlite3.OperationalError:
                pass  # the tables are still being made
        time.sleep(0.1)
    raise AssertionError(f"no run {name!r} within a quarter of an hour")


def test_the_names_that_collapse_hands_out(micro_chain: Path) -> None:
    code = (
        "import collapse, sys\n"
        "assert 'torch' not in sys.modules\n"
        "model, tokenizer = collapse.load_generation('quickstart.replace.seed0', 2)\n"
        "texts = collapse.sample(model, tokenizer, ['', 'Once'], max_new_tokens=9, seed=3)\n"
        "assert len(texts) == 2 and texts == collapse.sample(\n"
        "    model, tokenizer, ['', 'Once'], max_new_tokens=9, seed=3)\n"
        "empty = collapse.load_preset('llama-102m', device='meta')\n"
        "assert sum(p.numel() for p in empty.parameters()) == 102_082_560\n"
        "assert 'load_preset' in dir(collapse)\n"
        "assert collapse.legacy_spectrum([1.0, 2.0, 3.0, 9.0], [9.0]).spectral_ratio > 0\n"
    )
    made = subprocess.run(
        [sys.executable, "-c", code],
        cwd=micro_chain,
        env=environment(),
        capture_output=True,
        text=True,
    )
    assert made.returncode == 0, made.stderr
