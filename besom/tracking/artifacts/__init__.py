"""Artifacts: named sets of files that runs give and take, in versions."""
