"""What cells will take before they are trained: time, here and on a cluster, and memory."""
