"""exo-tui without a screen: discovery, planning, launching, measuring and recording an MLX cluster."""
