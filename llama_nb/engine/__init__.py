"""The generator, seen from both sides of one pipe: `client` in the kernel, `worker` in a process of its own."""
