"""The orchestrator of the benchmarks: builds, installs, starts, pins, samples, compares, writes."""
