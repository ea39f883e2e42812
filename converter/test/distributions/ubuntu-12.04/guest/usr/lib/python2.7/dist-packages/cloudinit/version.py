def version():
    return vr.StrictVersion("0.6.3")
