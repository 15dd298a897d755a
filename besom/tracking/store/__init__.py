"""The database where everything rests: its tables, what stands in them, how points are kept and read back."""
