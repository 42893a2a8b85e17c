"""Events out: the port, Kafka, and memory for unit tests."""
