"""The runs that ship: each file holds a function `recipe()` that returns a `mirasol.train.config.Run`.

    mirasol train --list        mirasol train tiny        mirasol train path/to/my_recipe.py

A recipe of your own is a copy of one of these files, changed.
"""
