"""Measured claims: each module is a command, `python -m benchmarks.handout`, and prints its table with the machine."""
