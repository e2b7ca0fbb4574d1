"""Train networks and apply them: devices, training loop, random crops, checkpoints, sliding windows."""
