"""What all tests share: no test needs a screen, and small tensors need one thread."""

import os

os.environ.setdefault("SDL_VIDEODRIVER", "dummy")
os.environ.setdefault("PYGAME_HIDE_SUPPORT_PROMPT", "1")
os.environ["OMP_NUM_THREADS"] = "1"  # with more they wait for each other; also for the commands that tests start
