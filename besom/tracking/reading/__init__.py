"""From the store to whoever asks: queries, `besom.Api()` and what a sweep's trials tell."""
