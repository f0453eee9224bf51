"""Training beside its peers: `python -m benchmarks.training --help`."""
