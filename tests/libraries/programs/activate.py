"""A program that calls Holdfast itself, before it imports anything else."""

import holdfast

holdfast.activate()
