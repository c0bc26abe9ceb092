"""Random effects of groups: their likelihood from products of each group's rows."""
