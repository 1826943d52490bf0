"""Models and the machine they run on: what is there, what fits, how it is loaded, adapted and spoken to."""
