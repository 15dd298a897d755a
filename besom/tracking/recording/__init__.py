"""From the journal into the store: what each event changes."""
