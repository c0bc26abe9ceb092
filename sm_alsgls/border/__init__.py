"""What a user hands in: one validator a kind of argument; names and rows go by label."""
