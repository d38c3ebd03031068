"""Variants: what is measured of each, the gates, and which one ships."""
