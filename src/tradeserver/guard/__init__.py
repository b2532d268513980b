"""The guard: a small process with the keys, for the day when the daemon's own loop does not answer.

It hears a kill on its own socket, by SIGUSR1, by the stop file and from NATS. It sets the latch first, which the daemon
reads before each send; then it asks the daemon, which knows its orders best; and where that does not answer in time it
cancels and verifies by itself over REST, until nothing is open. What came of it stays in a file until a daemon has
taken it into its log.

The daemon starts it and hands it configuration and keys over the inherited pipe, never by command line or environment.
It ends on EOF of that pipe, a kill that is under way first finished. Started by hand it takes the keys from the
configuration's references and outlives daemons. One guard works (a lock file); a second one waits for it.
"""

from tradeserver.guard.process import arguments, greeting, kill_here, run

__all__ = ("arguments", "greeting", "kill_here", "run")
