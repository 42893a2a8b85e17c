"""Which domain a text belongs to, where none is declared; `unknown` when unsure.

A small linear model over hashed words, fitted from rows whose domain is declared. What it predicts is
computed in integers and in single IEEE operations, so every machine gives the same bits.
"""
