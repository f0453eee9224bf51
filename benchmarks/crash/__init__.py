"""Trainings and runs that are killed at chosen points and run again: what comes of them, to the byte."""
