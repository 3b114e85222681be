"""Training by anomaly exposure."""
