"""The GPU kernels: any cell, one launch for all time steps where the recurrent weights stay on one SM.

The engine: layer.py. Which cells "auto" gives it: crossover.py, and on which machines: verification.py, trial.py.
A pass: forward_pass.py, backward_pass.py, weight_gradients.py, and graphs.py, which makes one launch of many.
A launch: launch.py, launch_config.py (what fits, how many samples a program takes), tuning.py (the same by measuring,
with dummy_inputs.py, timing.py and cache.py).
The kernels: forward_kernel.py, backward_kernel.py, device_tile.py, squash.py; geometry.py says where everything stands.

Importing this package, cache.py, crossover.py, timing.py or verification.py does not load Triton; importing any of its
other modules does.
"""
