"""The loop, its starts and searches, the bootstrap."""
