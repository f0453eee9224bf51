"""Training of one variant: `python -m eiclip.train --help`, by itself or under torchrun."""
