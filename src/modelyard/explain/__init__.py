"""Explanations: what a build would do and why, what differs, from what an image came."""
