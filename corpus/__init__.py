"""Documents made for the tests, with what is in each; `make.py` makes them, `score.py` rates."""
