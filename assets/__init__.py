"""What is made: every output declared once, with the functions that make them. No Dagster in here.

What needs torch is imported where it is used: the code location loads in a second, and the process that only hands
out steps stays small.
"""
