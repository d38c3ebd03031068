"""What the image builder `docker` asks of an engine."""
