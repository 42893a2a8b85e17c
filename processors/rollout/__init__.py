"""Who gets which weights, and what the evidence allows."""
