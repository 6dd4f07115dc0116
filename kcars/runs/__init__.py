"""Run folders: what they hold, how a run is resumed, and how its network is built again."""
