"""Ways to start a worker: as a process of this machine, or in this process for tests."""
