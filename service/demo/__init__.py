"""The demonstration: the whole loop, closed, on one machine.

Only the support desk is simulated (its users, tools and world). Broker, model, training, statistics
and files are the real ones.
"""
