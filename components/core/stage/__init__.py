"""Runs a component: its configuration, folders and command line."""
