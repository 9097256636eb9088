"""Where experience waits until it is learned from."""
