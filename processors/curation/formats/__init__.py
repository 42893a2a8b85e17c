"""Examples and pairs as records of formats that other people's training reads."""
