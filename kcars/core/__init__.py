"""What every package stands on: errors, files, random numbers, limits, printing."""
