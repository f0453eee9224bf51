"""How it runs: the code location, its jobs and resources, and the launcher of trainers."""
