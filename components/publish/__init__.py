"""Publishes a compressed model as a documented version, unless it is worse than the published one."""
