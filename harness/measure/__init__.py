"""What a network costs, measured side by side: latency, training step, memory. Ratios, never bare times.

These measurements are fair only within one process on one machine, so no number here is ever compared across two runs.
"""
