"""The parts a method is a bundle of: one idea a file.

Shapes, everywhere in `baselines`: T timesteps, B batch, C channels, H height, W width. Time is folded into the batch
for all that is stateless: activations are (T·B, C, H, W), time-major; only neurons and temporal normalisers view them
as (T, B, C, H, W). Symbols: x(t) input current, u(t) potential after charging, v(t) potential carried to the next
step, z(t) the potential that is compared with the threshold V, s(t) the spike.
"""
