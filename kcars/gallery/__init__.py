"""Galleries: photos' embeddings in a folder, to search among, to name by and to group (`kcars index`, `kcars predict --index`)."""
