# Puts files into a container of a server that speaks Azure's protocol: ENDPOINT KEY CONTAINER, then a NAME and a FILE for
# each.
import sys
from pathlib import Path

from azure.storage.blob import BlobServiceClient

endpoint, key, container, *blobs = sys.argv[1:]
account = endpoint.rsplit("/", 1)[1]
service = BlobServiceClient(endpoint, credential={"account_name": account, "account_key": key})
client = service.create_container(container)
for name, file in zip(blobs[::2], blobs[1::2]):
    client.upload_blob(name, Path(file).read_bytes())
