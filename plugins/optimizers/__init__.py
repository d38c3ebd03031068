"""The built-in model optimizers."""
