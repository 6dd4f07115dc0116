"""The paper's figures, and runs beside them."""
