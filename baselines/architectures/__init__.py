"""One file an architecture, named as it is; what several share begins with an underscore."""
