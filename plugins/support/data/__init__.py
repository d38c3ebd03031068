"""Data: read, split, drawn for calibration."""
