"""Whether the Hugging Face hub can be reached, asked before anything heavy is loaded.

Without network the hub's own client retries for most of a minute before it gives up.
"""

import os
import socket
import threading
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Literal, TypeVar
from urllib.parse import urlsplit

from collapse.errors import BadCorpus, BadModel, CollapseError

Loaded = TypeVar("Loaded")

HUB = "https://huggingface.co"
TIMEOUT_SECONDS = 1.0
_PROXIES = ("HTTPS_PROXY", "https_proxy", "ALL_PROXY", "all_proxy", "HTTP_PROXY", "http_proxy")
_YES = {"1", "ON", "YES", "TRUE"}


def require_hub_access(
    name: str,
    kind: Literal["model", "tokenizer", "dataset"] = "model",
    *,
    any_of: Sequence[str] = ("*",),
) -> None:
    """Return where a name's files are cached here or the hub answers, and raise where neither.

    Takes at most about two seconds and loads none of torch, transformers and datasets.

    Args:
        name: of a repository on the hub, such as ``Qwen/Qwen2.5-0.5B``.
        kind: what is wanted of the repository.
        any_of: file patterns, one of which must be cached for the cache to suffice.

    Raises:
        BadModel: a model or tokenizer is out of reach.
        BadCorpus: a dataset is out of reach.
    """
    holds: Literal["model", "dataset"] = "dataset" if kind == "dataset" else "model"
    if is_cached(name, holds, any_of=any_of) or (not _told_to_stay_offline() and _hub_answers()):
        return
    reason = "HF_HUB_OFFLINE is set" if _told_to_stay_offline() else "the hub cannot be reached"
    instead = {
        "model": "give the path of a local model folder, or use a preset such as 'pocket'",
        "tokenizer": "use 'bpe' or 'characters', or give the path of a local tokenizer folder",
        "dataset": "give the path of a .txt, .jsonl or .parquet file, or use the embedded corpus "
        "'stories' or 'python'",
    }[kind]
    error = BadCorpus if kind == "dataset" else BadModel
    raise error(f"{kind} {name!r} is not cached here and {reason}: {instead}")


def is_cached(
    name: str,
    kind: Literal["model", "dataset"] = "model",
    *,
    any_of: Sequence[str] = ("*",),
) -> bool:
    """Whether a snapshot on this machine has a file that matches one of the patterns."""
    folder = hub_cache() / f"{kind}s--{name.replace('/', '--')}" / "snapshots"
    return any(any(folder.glob(f"*/{pattern}")) for pattern in any_of)


def from_folder_or_hub(
    load: Callable[[bool], Loaded],
    name: str,
    kind: Literal["model", "dataset"] = "model",
    *,
    is_folder: bool = False,
    any_of: Sequence[str] = ("*",),
) -> Loaded:
    """Load a folder, or what is cached as it is; ask the hub where nothing is, or not all.

    Asking the hub for news of files that are here costs most of a minute offline. A download that
    was cut off leaves some of them: then the hub is asked for the others.

    Args:
        load: loads, told whether it has to do with local files.
        name: of a folder, or of a repository on the hub.
        kind: what the repository holds.
        is_folder: it is a folder, which is here as a whole.
        any_of: file patterns, one of which is in the cache where anything is.

    Raises:
        Exception: what ``load`` raises.
    """
    if is_folder:
        return load(True)
    if is_cached(name, kind, any_of=any_of):
        try:
            return load(True)
        except CollapseError:
            raise
        # The libraries raise errors of many unrelated classes.
        except Exception:
            if _told_to_stay_offline() or not _hub_answers():
                raise
    return load(False)


def hub_cache() -> Path:
    """Where the hub's client keeps what it has loaded, by the environment it reads too."""
    explicit = os.environ.get("HF_HUB_CACHE") or os.environ.get("HUGGINGFACE_HUB_CACHE")
    if explicit:
        return Path(explicit).expanduser()
    home = os.environ.get("HF_HOME")
    if home:
        return Path(home).expanduser() / "hub"
    cache = os.environ.get("XDG_CACHE_HOME", "~/.cache")
    return Path(cache).expanduser() / "huggingface" / "hub"


def _told_to_stay_offline() -> bool:
    return os.environ.get("HF_HUB_OFFLINE", "").upper() in _YES


def _hub_answers() -> bool:
    """Whether the hub's host, or a proxy that would be asked in its place, takes a connection.

    Asked in a thread that is not waited for beyond the time limit: looking up a host's name has no
    time limit of its own.
    """
    proxies = [os.environ[name] for name in _PROXIES if os.environ.get(name)]
    addresses = [os.environ.get("HF_ENDPOINT", HUB), *proxies]
    answered = threading.Event()

    def ask(address: str) -> None:
        if _takes_connection(address):
            answered.set()

    threads = [
        threading.Thread(target=ask, args=(address,), daemon=True)
        for address in dict.fromkeys(addresses)
    ]
    for thread in threads:
        thread.start()
    deadline = time.monotonic() + 1.5 * TIMEOUT_SECONDS
    for thread in threads:
        thread.join(max(0.0, deadline - time.monotonic()))
    return answered.is_set()


def _takes_connection(address: str) -> bool:
    parts = urlsplit(address if "//" in address else f"//{address}")
    if parts.hostname is None:
        return False
    try:
        port = parts.port or (80 if parts.scheme == "http" else 443)
        with socket.create_connection((parts.hostname, port), timeout=TIMEOUT_SECONDS):
            return True
    except (OSError, ValueError):
        return False
