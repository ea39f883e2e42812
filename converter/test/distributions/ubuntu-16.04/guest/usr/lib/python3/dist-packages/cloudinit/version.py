__VERSION__ = "20.2"
