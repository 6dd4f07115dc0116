"""The paper's tables and figures, compared with runs."""
