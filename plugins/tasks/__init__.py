"""Tasks: what is learnt, and how well a model does."""
