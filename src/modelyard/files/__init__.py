"""Files on disk: written whole or not at all, hashed once, locked, read as JSON."""
