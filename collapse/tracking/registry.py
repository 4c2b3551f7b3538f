"""The model registry: a version per generation, found by alias, with its lineage and its seal."""

import functools
import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import mlflow
from mlflow.entities.model_registry import ModelVersion
from mlflow.exceptions import MlflowException
from mlflow.models import ModelSignature
from mlflow.types import ColSpec, ParamSchema, ParamSpec, Schema

from collapse.errors import DamagedCheckpoint, MissingAncestor
from collapse.tracking.patience import patiently
from collapse.tracking.runs import active, client, download

SEAL = "sha256"
REQUIREMENTS = ("torch==2.13.0", "transformers==5.23.0", "accelerate==1.15.0")

_SIGNATURE = ModelSignature(
    inputs=Schema([ColSpec("string")]),
    outputs=Schema([ColSpec("string")]),
    params=ParamSchema(
        [
            ParamSpec("max_new_tokens", "long", 200),
            ParamSpec("do_sample", "boolean", True),
            ParamSpec("temperature", "double", 1.0),
            ParamSpec("top_k", "long", 0),
        ]
    ),
)


def log_checkpoint(run_id: str, model: Any, tokenizer: Any) -> str:
    """Log a model to a run so that it carries its own code; returns ``models:/<id>``.

    What an attempt that was cut off left on the run is deleted: a run has one model.
    """
    with active(run_id):
        logged = patiently(lambda: _log_model(model, tokenizer))
    experiment = client().get_run(run_id).info.experiment_id
    for one in client().search_logged_models([experiment], f"source_run_id = '{run_id}'"):
        if one.model_id != logged.model_id:
            client().delete_logged_model(one.model_id)
    return logged.model_uri


def _log_model(model: Any, tokenizer: Any) -> Any:
    return mlflow.transformers.log_model(
        {"model": model, "tokenizer": tokenizer},
        name="checkpoint",
        task="text-generation",
        signature=_SIGNATURE,
        pip_requirements=list(REQUIREMENTS),
    )


def seal(model_uri: str) -> str:
    """The SHA-256 of every file of a logged model, as JSON."""
    root = download(model_uri)
    files = sorted(path for path in root.rglob("*") if path.is_file())
    sums = {
        str(path.relative_to(root)): _sha256(path)
        for path in files
        if path.relative_to(root).parts[0] in {"model", "components"}
    }
    return json.dumps(sums, separators=(",", ":"))


def register(
    name: str, generation: int, model_uri: str, run_id: str, tags: Mapping[str, Any]
) -> ModelVersion:
    """The version of a chain's model with these files, made where there is none; it is aliased."""
    known = version_of(name, model_uri)
    if known is None:
        known = _make_version(name, model_uri, run_id, tags)
    client().set_registered_model_alias(name, f"gen-{generation}", known.version)
    return known


def _make_version(name: str, model_uri: str, run_id: str, tags: Mapping[str, Any]) -> ModelVersion:
    try:
        client().create_registered_model(name)
    except MlflowException as error:
        if error.error_code != "RESOURCE_ALREADY_EXISTS":
            raise
    make = functools.partial(
        mlflow.MlflowClient().create_model_version,
        name,
        model_uri,
        run_id,
        tags={key: str(value) for key, value in tags.items() if value is not None},
        await_creation_for=60,
        model_id=model_uri.removeprefix("models:/"),
    )
    return patiently(make, landed=lambda: version_of(name, model_uri))


def version(name: str, generation: int) -> ModelVersion | None:
    """The version that a generation's alias names, None where there is none."""
    try:
        return client().get_model_version_by_alias(name, f"gen-{generation}")
    except MlflowException as error:
        if error.error_code in {"RESOURCE_DOES_NOT_EXIST", "INVALID_PARAMETER_VALUE"}:
            return None
        raise


def version_of(name: str, model_uri: str) -> ModelVersion | None:
    """The version of a registered model that has these files, None where there is none."""
    # Asked for by its files: a store lists the versions of a long chain by pages.
    found = client().search_model_versions(f"name = '{name}' and source_path = '{model_uri}'")
    return found[0] if found else None


def fetch_generation(name: str, generation: int) -> tuple[Path, Path]:
    """Folders of model and tokenizer of a generation on local disk, checked against their seal.

    Raises:
        MissingAncestor: no such version.
        DamagedCheckpoint: a file is missing, or is not the one that was registered.
    """
    known = version(name, generation)
    if known is None:
        raise MissingAncestor(
            f"no generation {generation} of {name!r} in the registry: make it with "
            f"`python -m entrypoints.recurse_step --generation {max(generation, 1)}`"
        )
    return fetch(known.source, known.tags.get(SEAL, "{}"), f"{name} generation {generation}")


def fetch(model_uri: str, sealed: str, what: str) -> tuple[Path, Path]:
    """Folders of model and tokenizer of a logged model on local disk, checked against a seal.

    Raises:
        DamagedCheckpoint: a file is missing, or is not the one that was sealed.
    """
    try:
        root = download(model_uri)
    except (MlflowException, OSError):
        raise DamagedCheckpoint(
            f"{what}: its files are gone; make that generation again with rerun=true"
        ) from None
    for name, digest in json.loads(sealed).items():
        path = root / name
        if not path.is_file() or _sha256(path) != digest:
            state = "is missing" if not path.is_file() else "is not the file that was registered"
            raise DamagedCheckpoint(
                f"{what}: {path} {state}; make that generation again with rerun=true"
            )
    return root / "model", root / "components" / "tokenizer"


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
