"""Live: streams watched for days, events told as they happen."""
