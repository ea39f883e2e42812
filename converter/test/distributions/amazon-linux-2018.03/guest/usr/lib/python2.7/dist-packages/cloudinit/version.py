def version():
    return vr.StrictVersion("0.7.6")
