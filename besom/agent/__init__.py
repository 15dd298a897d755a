"""Agents: take trials, run the train function or command, report back."""
