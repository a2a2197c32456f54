"""Cells as processes: in this one, in others of this host, in SLURM jobs; queued, followed, tried again."""
