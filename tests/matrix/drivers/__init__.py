"""One program a client: it does what its job says and prints, for each cell, what it saw. It judges nothing."""
