"""What generations leave of the text they were trained on."""

import json
from pathlib import Path

from collapse.stages.texts import write_texts


def artifacts(folder: Path, sources: dict[str, int], **texts: list[str]) -> Path:
    """What a training leaves of its text, and of each source how many documents it read."""
    folder.mkdir()
    accounts = {name: {"documents": count} for name, count in sources.items()}
    (folder / "ledger.json").write_text(json.dumps({"sources": accounts}))
    for name, some in texts.items():
        write_texts(some, folder / name)
    return folder
