"""Run folders: their files, resuming a run, and rebuilding its network."""
