"""The only ways in which what strangers made is opened: files, folders, ONNX and SavedModel graphs, weights."""
