"""ONNX: models written the same each time, checked, read."""
