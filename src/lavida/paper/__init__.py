"""The wing of the paper: its tables, figures and ablations."""
