"""Laws of the errors that act as filters with a few parameters around the loop."""
