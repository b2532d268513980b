"""What the shell leans on: secrets, logs, NATS, store, control socket."""
