"""Adapters, datasets and reports as files under one root: a disk, S3, GCS or Azure (obstore)."""
