"""Measures candidates as a server sees them, in three scenarios of MLPerf inference: SingleStream, Offline, Server."""
