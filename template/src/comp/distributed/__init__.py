"""Devices and processes: Accelerate as configured, one process a GPU, signals, sharded models (FSDP)."""
