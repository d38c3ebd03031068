"""Keras 2 and 3: what trainers and model optimizers share."""
