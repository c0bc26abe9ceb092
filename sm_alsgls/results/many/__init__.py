"""Results of very many equations, which are read in tiles: no array here has N K numbers."""
