"""Studies of trainings that differ in one thing: ablations, several seeds, made-up brand names.

How one training runs is `train`'s business; a study says which ones and compares them.
"""
