"""The rolling table of every record read, in Delta Lake, with its Kafka offsets inside the commits."""
