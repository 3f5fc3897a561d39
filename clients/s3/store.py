"""An S3-compatible store (moto) for the tests of backup targets, with two buckets and two accounts.

    store.py FOLDER     writes FOLDER/endpoint and FOLDER/<account>.credentials, says "ready", and ends when its input does.

`server` may put, read and list, lengthen locks, and nothing else: not delete, not shorten. `pruner` may read, list and delete.
Signatures and rights are checked from the moment that it is ready. What it holds is in memory. Locks in compliance mode are what they are in S3:
moto takes any word about them.
"""

import json
import logging
import os
import sys
from pathlib import Path

import boto3
import requests
from moto.s3.exceptions import AccessDeniedByLock
from moto.s3.models import S3Backend
from moto.server import ThreadedMotoServer

BUCKETS = {"plain-bucket": False, "locked-bucket": True}

SERVER = ["s3:PutObject", "s3:GetObject", "s3:GetObjectVersion", "s3:ListBucket", "s3:ListBucketVersions",
          "s3:GetObjectRetention", "s3:PutObjectRetention"]
PRUNER = ["s3:GetObject", "s3:GetObjectVersion", "s3:ListBucket", "s3:ListBucketVersions",
          "s3:DeleteObject", "s3:DeleteObjectVersion"]


def keep_locks() -> None:
    """Lets nobody shorten or loosen a lock in compliance mode."""
    put = S3Backend.put_object_retention

    def put_object_retention(self, bucket_name, key_name, version_id, retention):
        key = self.get_object(bucket_name, key_name, version_id=version_id)
        mode, until = retention
        if key.lock_mode == "COMPLIANCE" and (mode != "COMPLIANCE" or not until or until < key.lock_until):
            raise AccessDeniedByLock
        put(self, bucket_name, key_name, version_id, retention)

    S3Backend.put_object_retention = put_object_retention


def main(folder: Path) -> None:
    logging.getLogger("werkzeug").setLevel(logging.ERROR)
    keep_locks()
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    endpoint = f"http://{host}:{port}"
    first = dict(endpoint_url=endpoint, region_name="us-east-1",
                 aws_access_key_id="first", aws_secret_access_key="first")
    s3, iam = boto3.client("s3", **first), boto3.client("iam", **first)
    for bucket, locked in BUCKETS.items():
        s3.create_bucket(Bucket=bucket, ObjectLockEnabledForBucket=locked)
    for account, actions in {"server": SERVER, "pruner": PRUNER}.items():
        iam.create_user(UserName=account)
        statement = {"Effect": "Allow", "Action": actions, "Resource": "*"}
        policy = {"Version": "2012-10-17", "Statement": [statement]}
        iam.put_user_policy(UserName=account, PolicyName="backup", PolicyDocument=json.dumps(policy))
        key = iam.create_access_key(UserName=account)["AccessKey"]
        text = f"[default]\naws_access_key_id = {key['AccessKeyId']}\naws_secret_access_key = {key['SecretAccessKey']}\n"
        path = folder / f"{account}.credentials"
        with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as file:
            file.write(text)
    # From now on signatures and rights count.
    requests.post(f"{endpoint}/moto-api/reset-auth", data="0", timeout=10).raise_for_status()
    (folder / "endpoint").write_text(endpoint)
    print("ready", flush=True)
    sys.stdin.read()
    server.stop()


main(Path(sys.argv[1]))
