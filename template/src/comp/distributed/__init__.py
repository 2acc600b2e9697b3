"""Devices and processes: Accelerate as configured, one process per GPU, signals, sharded models (FSDP)."""
