# Puts files into a bucket of a server that speaks S3's protocol: ENDPOINT BUCKET, then a NAME and a FILE for each.
import sys

import boto3

endpoint, bucket, *objects = sys.argv[1:]
client = boto3.client(
    "s3", endpoint_url=endpoint, region_name="us-east-1", aws_access_key_id="key", aws_secret_access_key="secret"
)
client.create_bucket(Bucket=bucket)
for name, file in zip(objects[::2], objects[1::2]):
    client.upload_file(file, bucket, name)
