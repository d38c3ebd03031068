"""The Open Inference Protocol v2: what is said of the model, and requests and answers as JSON with bytes behind it.

Source: kserve/open-inference-protocol, specification/protocol/inference_rest.md, and Triton's
extension_binary_data.md.
"""
