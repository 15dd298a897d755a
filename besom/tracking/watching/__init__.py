"""What is recorded of a run without being logged: its console, its machine, its model."""
