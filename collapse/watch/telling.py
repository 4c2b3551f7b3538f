"""What a watch says: numbers to the active MLflow run, and warnings, each kind of trouble once."""

import logging
import math

from collapse.tracking.active import log_to_active_run
from collapse.watch.record import Record

_LOG = logging.getLogger("collapse.watch")

_NEVER_JUDGED = {
    "runs": "look at the steps at which the healthy runs were looked at",
    "looks": "look more often, or lower burn_in",
}


class Teller:
    """Says what is the matter; nothing that goes wrong in saying it ends a training."""

    def __init__(self) -> None:
        self._complaints: set[str] = set()

    def last_look(self, record: Record, share: float) -> None:
        """Log the last look, its evidence, and what looks take."""
        look = record.looks[-1]
        numbers = look.values | {
            "evidence": record.evidence[-1].value,
            "share_of_training": share,
            "alarm": float(record.alarm is not None),
        }
        known = {f"warning/{name}": one for name, one in numbers.items() if not math.isnan(one)}
        try:
            log_to_active_run(known, look.step)
        except Exception as error:  # whatever a tracking server answers
            self.complain("a look was not logged", error)

    def complain(self, what: str, error: Exception) -> None:
        """Warn of a kind of trouble when it comes first."""
        if what not in self._complaints:
            reason = " ".join(str(error).split())[:300] or type(error).__name__
            _LOG.warning("early warning: %s, and training goes on: %s", what, reason)
        self._complaints.add(what)

    def end(self, record: Record) -> None:
        """Warn where no look was judged: no alarm is no sign of health then."""
        if not record.judged and record.alarm is None:
            _LOG.warning(
                "early warning: none of %d looks was judged (rule %s), so that no alarm says "
                "nothing; %s",
                *(len(record.looks), record.rule, _NEVER_JUDGED[record.rule]),
            )

    def resumed_unseen(self, step: int) -> None:
        """Warn of a checkpoint that keeps no looks."""
        _LOG.warning(
            "early warning: resumed at step %d from a checkpoint that keeps no looks of this batch "
            "and setting; they begin anew, and save() will refuse the run",
            step,
        )
