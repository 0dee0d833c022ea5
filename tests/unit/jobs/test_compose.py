"""What the Compose files promise, as far as it can be told without Docker; `make compose-check` tells the rest."""

from __future__ import annotations

import importlib
import os
import subprocess
import tomllib
from pathlib import Path
from typing import Any

import pytest
from tests.support.compose import ROOT, NotSet, environment_of, read, seconds
from tests.support.waiting import DEADLINE

from crewcall_jobs import settings as job_settings
from crewcall_worker import settings
from crewcall_worker.board.settings import board_settings
from crewcall_worker.errors import BadSetting
from crewcall_worker.redis_address import ENV_REDIS_PASSWORD

DEVELOPMENT, PRODUCTION = "compose.yaml", "compose.prod.yaml"
PASSWORDS = {"REDIS_PASSWORD": "one", "POSTGRES_PASSWORD": "two"}
FILES = (DEVELOPMENT, PRODUCTION)


def services(name: str) -> dict[str, Any]:
    found: dict[str, Any] = read(name, PASSWORDS)["services"]
    return found


def environment(name: str) -> dict[str, str]:
    """The worker's."""
    return environment_of(services(name)["worker"])


def test_an_error_in_a_file_is_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "compose.yaml").write_text("services: {redis: {image: redis, healthchek: {}}}")
    monkeypatch.setattr("tests.support.compose.ROOT", tmp_path)

    with pytest.raises(ValueError, match="healthchek"):
        read("compose.yaml")


def test_development_has_redis_a_worker_the_board_and_a_mail_catcher_and_asks_for_nothing() -> None:
    assert set(read(DEVELOPMENT)["services"]) == {"redis", "worker", "board", "mail"}


@pytest.mark.parametrize("missing", PASSWORDS)
def test_production_does_not_start_without_its_passwords(missing: str) -> None:
    with pytest.raises(NotSet, match=f"^{missing}: set it to the password"):
        read(PRODUCTION, {name: value for name, value in PASSWORDS.items() if name != missing})


@pytest.mark.parametrize("name", FILES)
def test_the_worker_waits_until_redis_is_healthy(name: str) -> None:
    found = services(name)

    assert found["worker"]["depends_on"]["redis"] == {"condition": "service_healthy"}
    assert "redis-cli ping" in found["redis"]["healthcheck"]["test"][-1]


@pytest.mark.parametrize("name", FILES)
def test_as_many_workers_run_as_one_scales_to(name: str) -> None:
    """A name or a port of this machine can be had only once."""
    assert not any("container_name" in service for service in services(name).values())
    assert "ports" not in services(name)["worker"]


@pytest.mark.parametrize("name", FILES)
def test_running_jobs_have_their_time_before_the_container_is_killed(name: str) -> None:
    grace = seconds(services(name)["worker"]["stop_grace_period"])

    assert grace >= float(environment(name)["CREWCALL_SHUTDOWN_TIMEOUT"]) + 5


@pytest.mark.parametrize("name", FILES)
def test_the_worker_understands_its_environment_and_has_the_module_that_it_is_to_run(name: str) -> None:
    told = environment(name)
    (module,) = services(name)["worker"]["command"]

    settings.from_environment(told)
    job_settings.from_environment(told)
    assert importlib.import_module(module)


@pytest.mark.parametrize("name", FILES)
def test_the_board_runs_in_the_workers_image_and_lets_nobody_in_by_default(name: str) -> None:
    found = services(name)
    told = {variable: value for variable, value in found["board"]["environment"].items() if value}

    assert found["board"]["image"] == found["worker"]["image"]
    with pytest.raises(BadSetting, match="CREWCALL_BOARD_JWT_SECRET"):
        board_settings(told)
    del told["CREWCALL_BOARD_HOST"], told["REDIS_URL"]
    assert not any("SECRET" in variable and "FILE" not in variable for variable in told)


def test_the_board_understands_its_environment_in_development(tmp_path: Path) -> None:
    """Its entry point makes the secret, as `crewcall-worker board secret` does."""
    found = services(DEVELOPMENT)["board"]
    secret = tmp_path / "board.secret"
    secret.write_text("s" * 64)
    told = board_settings({**found["environment"], "CREWCALL_BOARD_JWT_SECRET_FILE": str(secret)})

    assert (told.secret, told.is_loopback, told.port) == ("s" * 64, False, 8440)
    assert f"> {found['environment']['CREWCALL_BOARD_JWT_SECRET_FILE']};" in found["entrypoint"][-1]


def test_the_board_in_production_is_there_where_it_is_asked_for_with_a_secret_from_outside() -> None:
    variables = {**PASSWORDS, "CREWCALL_BOARD_JWT_SECRET": "t" * 32, "CREWCALL_BOARD_PREFIX": "/crewcall"}
    board = read(PRODUCTION, variables)["services"]["board"]

    told = board_settings(board["environment"])

    assert board["profiles"] == ["board"]
    assert (told.secret, told.prefix, told.redis.redis_password) == ("t" * 32, "/crewcall", "one")


@pytest.mark.parametrize("name", FILES)
def test_every_image_has_a_version_and_every_service_that_keeps_something_a_volume(name: str) -> None:
    found = services(name)
    images = [service["image"] for service in found.values()]

    assert [image for image in images if ":" not in image or image.endswith(":latest")] == []
    assert set(read(name, PASSWORDS)["volumes"]) == {
        volume.partition(":")[0] for service in found.values() for volume in service.get("volumes", [])
    }


def test_what_development_opens_is_open_to_this_machine_alone() -> None:
    ports = [port for service in services(DEVELOPMENT).values() for port in service.get("ports", [])]

    assert ports
    assert [port for port in ports if not port.startswith("127.0.0.1:")] == []


def test_production_opens_nothing() -> None:
    assert not any("ports" in service for service in services(PRODUCTION).values())


def test_production_limits_memory_cpu_and_logs_of_every_service_and_starts_it_again() -> None:
    for service in services(PRODUCTION).values():
        assert set(service["deploy"]["resources"]["limits"]) == {"cpus", "memory"}
        assert service["logging"] == {"driver": "json-file", "options": {"max-size": "10m", "max-file": "5"}}
        assert service["restart"] == "unless-stopped"
        assert "stop_grace_period" in service


def test_redis_in_production_keeps_what_it_acknowledged() -> None:
    command = services(PRODUCTION)["redis"]["command"][-1]

    assert "--appendonly yes --appendfsync everysec" in command
    assert "--maxmemory-policy noeviction" in command
    assert '--requirepass "$REDIS_PASSWORD"' in command


def test_the_worker_in_production_logs_for_machines_and_has_the_limits_of_the_catalogue() -> None:
    told = settings.from_environment(environment(PRODUCTION))

    assert told.log_format is settings.LogFormat.JSON
    assert told.concurrency == {}, "as their job types say, unless worker.env does"
    assert environment(PRODUCTION)[ENV_REDIS_PASSWORD] == PASSWORDS["REDIS_PASSWORD"]


@pytest.mark.parametrize(
    ("name", "own"),
    [
        (DEVELOPMENT, set()),
        (PRODUCTION, {"CREWCALL_REDIS_PASSWORD", "CREWCALL_DATABASE_URL", "CREWCALL_LOG_FORMAT"}),
    ],
)
def test_no_setting_in_worker_env_is_passed_over_but_those_that_the_file_goes_by(name: str, own: set[str]) -> None:
    """What is under `environment` comes before every env file."""
    worker = services(name)["worker"]

    assert set(worker["environment"]) == own | {"REDIS_URL", "CREWCALL_METRICS_PORT", "CREWCALL_SHUTDOWN_TIMEOUT"}
    assert worker["env_file"][-1] == {"path": "worker.env", "required": False}


@pytest.mark.parametrize("name", FILES)
def test_processes_that_a_browser_leaves_behind_are_buried(name: str) -> None:
    assert services(name)["worker"]["init"] is True


def test_the_worker_in_production_is_the_image_of_this_version() -> None:
    version = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["version"]

    assert services(PRODUCTION)["worker"]["image"] == f"localhost/crewcall-worker:{version}"


def test_files_with_secrets_are_kept_out_of_the_repository() -> None:
    assert {".env", "worker.env"} <= set((ROOT / ".gitignore").read_text().splitlines())


STEPS = {"up", "exec", "restart", "stop", "ps", "down"}

FAKE_DOCKER = """#!/bin/sh
echo "$*" >> "$CALLS"
case "$*" in
  *wget*) echo '{"total":4,"unread":4}' ;;
  *ExitCode*) printf '%s\\n' 0 "$EXIT_CODE" 0 ;;
esac
"""


def check(tmp_path: Path, path: str, exit_code: int = 0) -> subprocess.CompletedProcess[str]:
    """The script that runs all of it, by a Docker that does nothing."""
    return subprocess.run(
        [ROOT / "scripts" / "compose-check"],
        env={"PATH": path, "CALLS": str(tmp_path / "calls"), "EXIT_CODE": str(exit_code), "DIGESTS": "2"},
        capture_output=True,
        text=True,
        check=False,
        timeout=DEADLINE,
    )


@pytest.fixture
def fake_docker(tmp_path: Path) -> str:
    docker = tmp_path / "docker"
    docker.write_text(FAKE_DOCKER)
    docker.chmod(0o755)
    return f"{tmp_path}:{os.environ['PATH']}"


def test_the_whole_check_goes_through_both_files_and_leaves_nothing(tmp_path: Path, fake_docker: str) -> None:
    done = check(tmp_path, fake_docker)

    assert (done.returncode, done.stdout) == (0, "compose-check: ok\n")
    calls = (tmp_path / "calls").read_text().splitlines()
    for project in ("crewcall-check", "crewcall-check-prod"):
        own = [call for call in calls if f"--project-name {project} " in call]
        steps = [
            word for call in own for word in call.split() if word in {"up", "exec", "restart", "stop", "ps", "down"}
        ]
        assert steps == ["up", "exec", "restart", "up", "exec", "exec", "stop", "ps", "down"]
        assert "--volumes" in own[-1]


def test_the_check_fails_where_a_worker_cut_jobs_off(tmp_path: Path, fake_docker: str) -> None:
    done = check(tmp_path, fake_docker, exit_code=1)

    assert done.returncode == 1
    assert "0 means that nothing was cut off" in done.stderr
    assert "down" in (tmp_path / "calls").read_text()


def test_the_check_says_what_it_takes(tmp_path: Path) -> None:
    (tmp_path / "docker").write_text("#!/bin/sh\nexit 1\n")
    (tmp_path / "docker").chmod(0o755)

    done = check(tmp_path, f"{tmp_path}:{os.environ['PATH']}")

    assert (done.returncode, done.stderr) == (
        1,
        "compose-check: 'docker compose' does not run here; install Docker with its Compose plugin\n",
    )
