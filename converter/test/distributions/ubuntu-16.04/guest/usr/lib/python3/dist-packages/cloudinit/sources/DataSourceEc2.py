API_TOKEN_HEADER = 'X-aws-ec2-metadata-token'
