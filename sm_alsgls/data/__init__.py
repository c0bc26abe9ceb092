"""A checked system of labelled equations, and what the likelihood sees of it."""
