"""Chance: ids that rise, secrets that differ, jitter in its range."""

import uuid

from adapters.entropy import SystemEntropy


def test_ids_are_uuids_of_version_seven_that_rise_within_the_process() -> None:
    ids = [SystemEntropy().id() for _ in range(10_000)]
    assert ids == sorted(set(ids))
    made = uuid.UUID(bytes=ids[0])
    assert (made.version, made.variant) == (7, uuid.RFC_4122)


def test_secrets_have_the_length_asked_for_and_differ() -> None:
    secrets = {SystemEntropy().token(24) for _ in range(100)}
    assert (len(secrets), {len(secret) for secret in secrets}) == (100, {24})


def test_jitter_is_at_least_zero_and_less_than_one() -> None:
    jitters = [SystemEntropy().jitter() for _ in range(1_000)]
    assert all(0 <= jitter < 1 for jitter in jitters)
    assert max(jitters) - min(jitters) > 0.5
