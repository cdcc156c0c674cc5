"""How any component runs: its configuration, its folders, its command line."""
