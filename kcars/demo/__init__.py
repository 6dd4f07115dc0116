"""`kcars demo`: a page in the browser where runs answer about photos that are dropped on it."""
