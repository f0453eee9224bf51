"""Trainings that differ in one thing, and what the difference comes to: ablations, several seeds, made-up brand names.

How one training runs is `train`'s business; a study says which ones and compares them.
"""
