"""A saved model as graphs that run without PyTorch, written and compared."""
