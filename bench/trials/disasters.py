"""What becomes of a study whose disk fills up, whose store turns read-only, and so on: a line each.

    sudo python -m bench.trials.disasters

Root, for the disks of the first two are made and remounted here. Every study is a small quickstart;
each ends, perhaps at the second call, with the numbers and seals of one that nobody disturbed.
"""

import argparse
import contextlib
import re
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import mlflow

from bench.trials.kills import launch, log_of, what_is_there

_SMALL = """
    --seeds 1 --generations 2 --workers 2 --judge none --intervals false --prompts 0 --samples 9
    --heldout_documents 8 --tokenizer_documents 300 --vocabulary_size 300
    --preset_overrides hidden_size=32,intermediate_size=64,num_hidden_layers=1
    --baseline_documents 60 --baseline_steps 40 --documents 12 --steps 30 --tokens_per_step 256
    --sequence_length 64 --max_new_tokens 40 --tasks arithmetic --limit 9 --probe_texts human
    --probe_tokens 256 --probe_parts 1 --probe_vectors 2 --rank_tokens 200
"""
WORDS = _SMALL.split()
Numbers = dict[str, object]


def main() -> int:
    """Disturb, look, go on, compare."""
    known = {
        one.__name__: one
        for one in (
            a_full_disk,
            a_store_that_turns_read_only,
            signals,
            flipped_bits,
            four_studies_at_once,
            two_launches_of_one_study,
        )
    }
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("only", nargs="*", help=f"of {', '.join(known)}; all of them")
    # A shell that starts this in the background has it ignore Ctrl-C, and children inherit that.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    place = Path(tempfile.mkdtemp(prefix="disasters-"))
    expected = undisturbed(place / "undisturbed")
    for name in parser.parse_args().only or known:
        for line in known[name](place / name, expected):
            print(line, flush=True)
    return 0


def undisturbed(folder: Path) -> Numbers:
    """Numbers and seals of a study that nobody disturbs."""
    said = call(folder)
    if "exit code 0" not in said:
        sys.exit(f"the study does not run undisturbed: {said}")
    numbers = what_is_there(folder)
    print(f"undisturbed: {said}; {len(numbers)} numbers and seals", flush=True)
    return numbers


def a_full_disk(folder: Path, expected: Numbers) -> Iterator[str]:
    """A disk too small from the start, and one that others fill when so many runs are done."""
    with disk(folder, 100):
        yield f"a disk of 100 MiB: {call(folder)}"
    for runs in (1, 4, 8):
        with disk(folder, 400):
            study = launch(folder, WORDS)
            await_runs(folder, runs)
            others = folder / "of others"
            with contextlib.suppress(OSError), others.open("wb", buffering=0) as file:
                while file.write(bytes(2**16)):
                    pass
            code = study.wait()
            first = f"exit code {code}, {last_line(folder)!r}"
            others.unlink()
            yield f"a disk full after {runs} runs: {first}; cleared: {again(folder, expected)}"


def a_store_that_turns_read_only(folder: Path, expected: Numbers) -> Iterator[str]:
    """From some finished run on nothing new can be written to where the study's store lies."""
    with disk(folder, 2048):
        study = launch(folder, WORDS)
        await_runs(folder, 4)
        subprocess.run(["mount", "--bind", folder, folder], check=True)
        subprocess.run(["mount", "-o", "remount,ro,bind", folder], check=True)
        code = study.wait()
        first = f"exit code {code}, {last_line(folder)!r}"
        subprocess.run(["umount", folder], check=True)
        yield f"a store that turned read-only: {first}; writable: {again(folder, expected)}"


def signals(folder: Path, expected: Numbers) -> Iterator[str]:
    """Ctrl-C and SIGTERM."""
    for number in (signal.SIGINT, signal.SIGTERM):
        own = folder / number.name
        own.mkdir(parents=True)
        study = launch(own, WORDS)
        await_runs(own, 4)
        study.send_signal(number)
        code = study.wait()
        kinds = sorted(set(statuses(own)))
        yield (
            f"{number.name}: exit code {code}, {last_line(own)!r}, runs {', '.join(kinds)}; "
            f"again: {again(own, expected)}"
        )


def flipped_bits(folder: Path, _expected: Numbers) -> Iterator[str]:
    """One bit of a file that a finished run left, before more of the study is asked for."""
    for what, pattern in (
        ("weights", "**/model.safetensors"),
        ("a version's configuration", "**/artifacts/**/config.json"),
        ("a spectrum", "**/hessian_analysis.json"),
        ("a table of singular values", "**/singular_values.parquet"),
        ("training text", "**/own_text/*.arrow"),
    ):
        own = folder / what.replace(" ", "_")
        own.mkdir(parents=True)
        call(own)
        # The newest is what the next generation stands on, or beside.
        files = sorted((own / "mlruns").glob(pattern), key=lambda path: path.stat().st_mtime)
        if not files:
            yield f"a flipped bit in {what}: this study leaves no such file"
            continue
        content = bytearray(files[-1].read_bytes())
        content[len(content) // 2] ^= 1
        files[-1].write_bytes(bytes(content))
        file = files[-1].name
        yield f"a flipped bit in {what} ({file}): {call(own, '--generations', '3')}"
        yield f"  made again with rerun=true: {call(own, '--rerun', 'true')}"


def four_studies_at_once(folder: Path, expected: Numbers) -> Iterator[str]:
    """Of other names, in one store."""
    folder.mkdir()
    studies = [launch(folder, [*WORDS, "--name", f"study{number}"]) for number in range(4)]
    codes = [study.wait() for study in studies]
    numbers = {re.sub(r"^study\d\.", "", key): v for key, v in what_is_there(folder).items()}
    known = {re.sub(r"^quickstart\.", "", key): value for key, value in expected.items()}
    yield f"four studies in one store at once: exit codes {codes}, same bits: {numbers == known}"


def two_launches_of_one_study(folder: Path, expected: Numbers) -> Iterator[str]:
    """The second waits for the first."""
    folder.mkdir()
    studies = [launch(folder, WORDS) for _ in range(2)]
    codes = [study.wait() for study in studies]
    waited = "this launch waits" in log_of(folder).read_text()
    same = what_is_there(folder) == expected
    yield f"two launches: exit codes {codes}, one said that it waits: {waited}, same bits: {same}"


@contextlib.contextmanager
def disk(folder: Path, mebibytes: int) -> Iterator[None]:
    """A disk of its own, of so many MiB."""
    folder.mkdir(exist_ok=True)
    size = f"size={mebibytes}m"
    subprocess.run(["mount", "-t", "tmpfs", "-o", size, "tmpfs", folder], check=True)
    try:
        yield
    finally:
        subprocess.run(["umount", "-l", folder], check=True)


def call(folder: Path, *more: str) -> str:
    """Run the study to its end, good or bad; says exit code, last line, and what else is amiss."""
    started = time.monotonic()
    options = dict(zip(WORDS[::2], WORDS[1::2], strict=True))
    options |= dict(zip(more[::2], more[1::2], strict=True))
    code = launch(folder, [word for pair in options.items() for word in pair]).wait()
    said = f"exit code {code}"
    if code:
        said += f", {last_line(folder)!r}"
    said += ", A TRACEBACK" * ("Traceback" in log_of(folder).read_text())
    said += ", RUNS LEFT RUNNING" * ("RUNNING" in statuses(folder))
    return f"{said} ({time.monotonic() - started:.0f} s)"


def again(folder: Path, expected: Numbers) -> str:
    """The same call once more, and whether it ends in the same bits."""
    return f"{call(folder)}, same bits: {what_is_there(folder) == expected}"


def last_line(folder: Path) -> str:
    """What was said last, without the paths of this machine."""
    lines = log_of(folder).read_text().strip().splitlines() or ["nothing was said"]
    return re.sub(r"/\S*/", "", lines[-1])[:200]


def statuses(folder: Path) -> list[str]:
    """Of all runs in a store; none where it is not there, or not whole yet."""
    if not (folder / "mlruns").exists():
        return []
    with contextlib.suppress(mlflow.exceptions.MlflowException):
        client = mlflow.MlflowClient(f"sqlite:///{folder}/mlflow.db")
        experiments = [one.experiment_id for one in client.search_experiments()]
        return [run.info.status for run in client.search_runs(experiments, max_results=5000)]
    return []


def await_runs(folder: Path, count: int) -> None:
    """Wait until so many runs have finished."""
    for _ in range(3000):
        time.sleep(0.1)
        if statuses(folder).count("FINISHED") >= count:
            return
    sys.exit(f"fewer than {count} runs finished in five minutes")


if __name__ == "__main__":
    raise SystemExit(main())
