"""What the servers that others wrote are told to answer."""
