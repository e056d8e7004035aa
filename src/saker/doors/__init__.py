"""What the outside can call, one package or file per dialect. A door translates and nothing else."""
