"""What drives operations from Kafka: the ingest loop, the control worker, dead letters."""
