"""The trainer: a program of its own. `python -m training JOB --epoch N`; a job folder in and out.

Beside `serving.reference` the only room that imports torch. Nobody imports it.
"""
