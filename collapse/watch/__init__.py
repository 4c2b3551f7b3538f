"""Watching a training run of anybody's: cheap looks at a fixed batch, and a calibrated alarm.

undisturbed    the run goes on as if nobody had looked
indicators     what a look measures
allowance      the share of training time that looks may take
looks          looks, and files of those of healthy runs
resuming       what a Trainer's checkpoint keeps of a watch
judges         from looks to evidence: whole runs compared, or a stream tested
telling        numbers to the active run, and warnings
record         the looks at one run, their evidence, the alarm
early_warning  the callback, and the same for a plain loop
"""

from collapse.watch.early_warning import EarlyWarning
from collapse.watch.record import Alarm

__all__ = ["Alarm", "EarlyWarning"]
