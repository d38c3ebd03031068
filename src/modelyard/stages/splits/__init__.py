"""Splits of a data set: checked, and written."""
