"""Before a build: what this machine lacks for it."""
