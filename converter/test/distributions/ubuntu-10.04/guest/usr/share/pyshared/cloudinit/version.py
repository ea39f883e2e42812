def version():
    return vr.StrictVersion("0.5.10")
