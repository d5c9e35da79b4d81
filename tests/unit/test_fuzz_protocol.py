"""Whatever a hub answers, reading it gives a value or an error of ours."""
