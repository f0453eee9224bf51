"""Training of one variant: `python -m eiclip.train --help`, by itself or under torchrun.

A training is a job file, and its results a folder; which trainings there are is decided by `assets` and `studies`.
"""
