"""LiteRT: models converted, measured, read."""
