"""Stands in for other trackers, so that scripts and libraries written for them log to besom unchanged."""
