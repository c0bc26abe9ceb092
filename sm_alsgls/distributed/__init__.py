"""What does not fit one process: shards of equations on the workers of dask, and sums of theirs."""
