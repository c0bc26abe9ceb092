"""Laws of the errors with parameters of their own, maximised by the gradient around the loop."""
