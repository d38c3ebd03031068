"""What the built-in components share; nothing here registers anything."""
