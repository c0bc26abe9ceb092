"""Pictures of arrays and labels on matplotlib axes; they know no model and no results."""
