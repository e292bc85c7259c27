"""What the end-to-end tests stand on: processes that end with the test, mapping files, origins, raw requests."""
