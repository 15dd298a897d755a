"""A run's way to the journal: rows, batches, the thread that sends them, the disk when Redis is away."""
