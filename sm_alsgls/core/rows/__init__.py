"""What the likelihood sees of the data: rows with the same cross-products, cells, weights."""
