"""The build: which stages are stale, and bringing them up to date."""
