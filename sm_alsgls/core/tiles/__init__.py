"""Systems of which X and Y are read a tile of equations at a time, and never are arrays."""
