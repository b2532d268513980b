"""The composition root: reads the configuration, wires the house, runs it, takes it down in order.

`wiring` makes engine and sessions, for a run and for its replay; `daemon` is a run from its first file to its last;
`door` answers the operator.
"""

from tradeserver.app.daemon import run
from tradeserver.app.wiring import replay_run

__all__ = ["replay_run", "run"]
