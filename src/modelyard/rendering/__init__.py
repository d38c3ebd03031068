"""Templates, rendered so that no text becomes structure."""
