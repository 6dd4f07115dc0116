"""Photos: formats, decoding, boxes, the pixel store, heat maps and videos."""
