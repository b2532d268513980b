"""AWS Secrets Manager: `aws:NAME#field`, fetched outside the trading loop, never on it.

A secret is one JSON object (`{"key": "...", "secret": "..."}`) and a reference names a field; without `#field` it is
the whole text. boto3 is loaded at the first fetch. Its own retries are few and its time-outs short: a store that is
away must cost seconds, not a start that hangs. Secrets Manager API, GetSecretValue, 2017-10-17. Least rights:
`deploy/iam-policy.json`.
"""

from __future__ import annotations

import logging
import threading
from dataclasses import dataclass
from typing import Annotated, Any, Final

import msgspec
from annotated_types import Gt

from tradeserver.services.faults import ConfigError, OperatorError
from tradeserver.services.secrets import Secret

# botocore logs requests and answers at DEBUG, secrets in them.
for _name in ("boto3", "botocore", "urllib3"):
    logging.getLogger(_name).setLevel(logging.WARNING)

OPERATORS: Final = {
    "ResourceNotFoundException": "there is no such secret in the store",
    "AccessDeniedException": "this identity may not read it: see deploy/iam-policy.json",
    "DecryptionFailure": "its KMS key may not be used by this identity",
    "InvalidRequestException": "it is marked for deletion, or has no value",
    "UnrecognizedClientException": "the store does not accept this identity",
    "InvalidSignatureException": "the store does not accept this identity's signature: key or clock",
    "ExpiredTokenException": "this identity's session has expired",
}
"""Error codes that only a person can mend; everything else may pass by itself."""


@dataclass(frozen=True, kw_only=True)
class AwsSettings:
    """Where `aws:NAME#field` references are fetched. Empty: what the environment and the instance's role say."""

    region: str = ""
    profile: str = ""
    """Of ~/.aws/config."""
    role_arn: str = ""
    """A role to assume first."""
    endpoint_url: str = ""
    """Another endpoint: a VPC endpoint, or a stand-in for tests."""
    timeout_s: Annotated[float, Gt(0)] = 3.0
    """Of one attempt to connect or to read."""
    attempts: Annotated[int, Gt(0)] = 3
    """How often one fetch is tried, throttling included, before the store counts as away."""


class StoreAwayError(OperatorError):
    """The store does not answer, or throttles: it may later. A start ends with exit 1, which systemd repeats."""


class AwsStore:
    """Fetches; keeps each secret that it has fetched, so that one start asks once for each. Blocks: use a thread."""

    def __init__(self, settings: AwsSettings) -> None:
        self._settings = settings
        self._client: Any = None
        self._kept: dict[str, tuple[str, str]] = {}
        self._lock = threading.Lock()

    def get(self, path: str) -> Secret:
        """The secret behind "NAME#field". Raises ConfigError, StoreAwayError; neither holds a value."""
        name, _, field = path.partition("#")
        with self._lock:
            if name not in self._kept:
                self._kept[name] = self.fetch(name)
        return Secret(_field(self._kept[name][1], name, field))

    def fetch(self, name: str) -> tuple[str, str]:
        """(version id, text) of the current version, asked anew."""
        import botocore.exceptions as aws

        try:
            if self._client is None:
                self._client = self._connect()
            answer = self._client.get_secret_value(SecretId=name)
        except aws.ClientError as error:
            code = str(error.response.get("Error", {}).get("Code", ""))
            if code in OPERATORS:
                raise ConfigError(f"the secret aws:{name}: {OPERATORS[code]} ({code})") from None
            raise StoreAwayError(f"the secret store cannot give aws:{name} now: {code}") from None
        except (aws.NoCredentialsError, aws.PartialCredentialsError, aws.ProfileNotFound, aws.NoRegionError) as error:
            raise ConfigError(f"the secret store cannot be asked for aws:{name}: {type(error).__name__}") from None
        except (aws.BotoCoreError, ValueError) as error:  # ValueError: an endpoint that is no URL
            raise StoreAwayError(f"the secret store cannot be reached for aws:{name}: {type(error).__name__}") from None
        text = answer.get("SecretString")
        if text is None:
            raise ConfigError(f"the secret aws:{name} is binary; it must be text")
        return str(answer.get("VersionId", "")), str(text)

    def _connect(self) -> Any:
        import boto3
        from botocore.config import Config

        s = self._settings
        config = Config(
            connect_timeout=s.timeout_s,
            read_timeout=s.timeout_s,
            retries={"mode": "standard", "total_max_attempts": s.attempts},
        )
        session = boto3.Session(profile_name=s.profile or None, region_name=s.region or None)
        keys: dict[str, Any] = {}
        if s.role_arn:
            sts = session.client("sts", config=config, endpoint_url=s.endpoint_url or None)
            role = sts.assume_role(RoleArn=s.role_arn, RoleSessionName="tradeserver")["Credentials"]
            keys = {
                "aws_access_key_id": role["AccessKeyId"],
                "aws_secret_access_key": role["SecretAccessKey"],
                "aws_session_token": role["SessionToken"],
            }
        return session.client("secretsmanager", config=config, endpoint_url=s.endpoint_url or None, **keys)


def _field(text: str, name: str, field: str) -> str:
    if not field:
        return text
    try:
        fields = msgspec.json.decode(text, type=dict[str, Any])
    except msgspec.MsgspecError:
        raise ConfigError(f"the secret aws:{name} is no JSON object, so it has no field {field!r}") from None
    value = fields.get(field)
    if not isinstance(value, str):
        raise ConfigError(f"the secret aws:{name} has no text under {field!r}")
    return value
