"""The command line; it is handed the environments, which `algos` never imports."""
