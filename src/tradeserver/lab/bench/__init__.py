"""The stopwatch: `python -m tradeserver.lab.bench` (`make bench`). It measures the daemon as it is; it is no test.

Four kinds of process on loopback:

- `peer`: both venues as a stub, just enough of them: rules, snapshots, depth messages at a given rate, and an answer
  and a fill for every order. Its frames come from `feed`, its answers from `stub`.
- `trader`: `tradeserver run`, unchanged, with a stopwatch around the two functions at its sockets.
- `relay` (a child of the daemon) and a NATS server.
- `floor`: receives the same frames, decodes nothing, and sends two fixed orders on the same ticks.

`figures` runs them in interleaved blocks and takes medians; `table` holds the targets and prints. `micro` measures the
book alone.
"""
