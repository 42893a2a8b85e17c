"""One SQL database: jobs, registry, rollouts, routes, outbox, counters, leases, audit.

Each module holds the statements of one noun as functions of an open connection, so that an operation
can put a decision and its event into one transaction.
"""
