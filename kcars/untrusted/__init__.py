"""The only package that opens untrusted input: files, folders, ONNX and SavedModel graphs, weights."""
