"""What several test modules use: commands in process, comparisons of runs, cheap trainings."""
