"""What a run may log beside numbers: one file a kind; each keeps its file as a blob and gives W&B's JSON."""
