class DataSourceEc2:
    pass
