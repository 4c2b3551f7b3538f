"""A generation out of the registry, for a notebook."""

from typing import Any

from collapse.language.pretrained import load_model
from collapse.language.tokenizer import load_tokenizer
from collapse.tracking.registry import fetch_generation
from collapse.tracking.store import as_guest, connect


def load_generation(name: str, generation: int) -> tuple[Any, Any]:
    """Model and tokenizer of one generation of a chain.

    Out of the store that MLFLOW_TRACKING_URI or ``mlflow.set_tracking_uri`` names, or else of
    ``mlflow.db`` in the working directory.

    Args:
        name: registered model, ``<study>.<arm>.seed<k>``.
        generation: its number.

    Returns:
        The model (float32, in eval mode) and its tokenizer.

    Raises:
        MissingAncestor: the registry does not hold it.
        DamagedCheckpoint: a file of it is missing or was changed.
        StoreError: the tracking store does not answer.
    """
    with as_guest():
        connect()
        model, tokenizer = fetch_generation(name, generation)
    return load_model(model), load_tokenizer(tokenizer)
