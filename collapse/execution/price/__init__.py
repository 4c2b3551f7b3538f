"""What a study will cost here, before it is run.

No model of the costs is kept in step with the code by hand: the study's own steps are rehearsed, as
few as tell the shapes in it apart (`programme`), made small (`shrinking`), in a store of their own
that is thrown away (`rehearsal`, `stagehand`). Seconds go by lines through them (`prices`), and the
local executor's own rule puts the steps on its workers (`timetable`). What a step's cost grows with
is in `work`, and `quote` puts all of it together.
"""

from collapse.execution.price.quote import price_lines

__all__ = ["price_lines"]
