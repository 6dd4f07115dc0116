"""`kcars demo`: a web page to try runs on photos."""
