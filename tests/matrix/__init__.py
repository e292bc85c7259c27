"""The matrix: which client does what against which backend, and what comes of it, cell by cell."""
