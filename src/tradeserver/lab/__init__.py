"""The only place that joins app and simulator: demo, acceptance, benches."""
