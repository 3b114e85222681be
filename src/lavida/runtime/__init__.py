"""An exported model without PyTorch: the same answers from ONNX Runtime or OpenVINO."""
