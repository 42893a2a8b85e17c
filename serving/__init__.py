"""Model gateways: the port, the client of vLLM's adapter endpoints, and a small reference server."""
