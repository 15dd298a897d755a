"""What the wandb package leaves on disk, read without it."""
