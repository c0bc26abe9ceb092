"""Numbers that choose the number of factors."""
