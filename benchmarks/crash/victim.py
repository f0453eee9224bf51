"""The trainer, with a fuse: `python -m benchmarks.crash.victim JOB.json`, alone or under torchrun."""

from benchmarks.crash.fuse import light
from pipelines.trainer import main

if __name__ == "__main__":
    light()
    main()
