"""Galleries: stored embeddings of photos for search, naming and clustering (`kcars index`, `kcars predict --index`)."""
