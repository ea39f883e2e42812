__VERSION__ = "18.5"
