"""Plugins: found, loaded, registered."""
