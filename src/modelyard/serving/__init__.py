"""The server of a model: TF Serving's REST API and the Open Inference Protocol v2, with nothing of TensorFlow in it.

The package stands alone. It is copied into an image as `modelyard_serving` and started there with
`python3 -m modelyard_serving`; here it is `python -m modelyard.serving`. It needs numpy,
httptools, orjson and the backend's own runtime: LiteRT (by default) or ONNX Runtime.
"""

__version__ = "0.1.0"
