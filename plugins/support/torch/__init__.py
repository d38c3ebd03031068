"""PyTorch: what trainers and model optimizers share."""
