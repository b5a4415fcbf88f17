"""The GPU kernels: any cell, one launch for all time steps where the recurrent weights stay on one SM.

geometry.py : where everything stands in memory and in a tile. tiles.py : what fits, and how kernels are launched.
squash.py, tile.py, forward.py, backward.py : the kernels. launch.py : how they are started. tuning.py, rehearsal.py :
tiles chosen by measuring, with clock.py. run.py, graphs.py : the products around the kernels. reduce.py : gradients of
the weights. layer.py : the engine. crossover.py : which cells it is given. Importing this package, clock.py or
crossover.py does not load Triton; importing its other modules does.
"""
