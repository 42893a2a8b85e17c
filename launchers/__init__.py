"""Where training runs: the port, and a subprocess on this machine."""
