"""What runs on a device: one rank of a pipeline.

Shipped as a package called `worker`; imports nothing but the standard library, mlx and mlx_lm.
"""
