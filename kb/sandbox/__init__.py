"""Child processes that parse files and can reach nothing else."""
