"""Everything collapse raises on purpose.

    CollapseError                 one clear line for a person; no traceback; exit code 2
    ├── BadInput                  what was asked for cannot be
    │   ├── BadParameter          an unknown name, a value out of range
    │   ├── BadCorpus             missing, empty, too small, out of reach
    │   ├── BadModel              no such preset, no such folder, not a causal language model
    │   └── MissingAncestor       a generation that is needed and was not to be built
    ├── StoreError                the place where results go, or come from, is not usable
    │   └── DamagedCheckpoint     files of a registry version are missing or changed
    └── Finding                   the run ended early by what it found; exit code 1
        ├── TrainingDiverged      the loss is not finite any more
        └── SilentModel           a model writes next to nothing that can be trained on

Every message is one line that names the offending value and says what would be right.
"""


class CollapseError(Exception):
    """Base of all errors that are meant for people; ``str(error)`` is the one line to print."""

    exit_code = 2


class BadInput(CollapseError):
    """What was asked for cannot be done."""


class BadParameter(BadInput):
    """A parameter is unknown, malformed or out of range."""


class BadCorpus(BadInput):
    """A corpus is missing, empty, too small, or cannot be reached."""


class BadModel(BadInput):
    """A model is unknown, unreadable, or not a causal language model."""


class MissingAncestor(BadInput):
    """An earlier generation is needed, is not there, and was not to be built."""


class StoreError(CollapseError):
    """The tracking store, the artifacts or the disk cannot be read or written."""


class DamagedCheckpoint(StoreError):
    """Files of a checkpoint are missing or are not the ones that were registered."""


class Finding(CollapseError):
    """A run ended early by what it found; nobody asked for anything wrong."""

    exit_code = 1


class TrainingDiverged(Finding):
    """The loss became infinite or not a number; the message has its step and value."""


class SilentModel(Finding):
    """A model's text is so short or empty that the next generation has nothing to read."""
