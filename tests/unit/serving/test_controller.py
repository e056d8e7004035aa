"""Endpoints come to be what is wanted, whatever happens on the way."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from pathlib import Path

import pytest

from saker.core.errors import NotFound, Unsupported
from saker.serving.base import EndpointStatus, Variant
from saker.serving.endpoints import VariantChange
from support.fleets import ScriptedLauncher, until
from support.serving import FakePreparer, Platform, make_config, make_model, open_platform


@pytest.fixture
def launcher() -> ScriptedLauncher:
    return ScriptedLauncher(auto_ready=True)


@pytest.fixture
async def platform(tmp_path: Path, launcher: ScriptedLauncher) -> AsyncIterator[Platform]:
    async with open_platform(tmp_path, launcher) as made:
        yield made


async def reach(platform: Platform, status: str, name: str = "demo") -> None:
    """Wait until an endpoint has a status; "" when it shall be gone."""
    try:
        await until(lambda: platform.stores.status(name) == status)
    except AssertionError:
        raise AssertionError(f"{name} is {platform.stores.status(name)!r}, not {status!r}") from None


async def create(platform: Platform, config: str = "c", name: str = "demo", *, until_status: str = "InService") -> None:
    await platform.stores.endpoints.create(name, config, {})
    await reach(platform, until_status, name)


def deployments(platform: Platform) -> set[str]:
    """Ids of the deployments that the fleet is to run."""
    return {key.deployment for key in platform.fleet.keys()}  # noqa: SIM118  # a method of the fleet, which is no dict


# Creating


async def test_a_new_endpoint_comes_into_service(platform: Platform, launcher: ScriptedLauncher) -> None:
    await create(platform)

    assert platform.fleet.status(platform.key()).ready == 1
    assert platform.stores.endpoint().target is None
    assert len(launcher.workers) == 1


async def test_it_is_in_service_only_when_all_replicas_of_all_variants_are_ready(
    platform: Platform, launcher: ScriptedLauncher
) -> None:
    launcher.auto_ready = False
    await platform.stores.add(make_model("n"), make_config("ab", Variant("a", "m", count=2), Variant("b", "n")))
    await platform.stores.endpoints.create("demo", "ab", {})
    await until(lambda: len(launcher.workers) == 3)

    for worker in launcher.workers:
        assert platform.stores.status() == "Creating"
        worker.become_ready()
        await asyncio.sleep(0.005)

    await reach(platform, "InService")


async def test_a_variant_without_replicas_holds_nothing_up(platform: Platform, launcher: ScriptedLauncher) -> None:
    await platform.stores.add(make_config("none", Variant("v", "m", count=0)))

    await create(platform, "none")

    assert launcher.workers == []


async def test_a_model_that_cannot_be_prepared_fails_the_endpoint_with_its_reason(
    platform: Platform, launcher: ScriptedLauncher
) -> None:
    platform.preparer.fail("m", NotFound("The hub has no 'acme/m'.", why="It answered 404.", fix="Check its name."))

    await create(platform, until_status="Failed")

    reason = "The hub has no 'acme/m'. It answered 404. Check its name."
    assert reason == platform.stores.endpoint().failure_reason
    assert launcher.workers == []


async def test_a_model_that_cannot_be_loaded_fails_the_endpoint_and_leaves_nothing_running(
    platform: Platform, launcher: ScriptedLauncher
) -> None:
    launcher.auto_ready = False
    await platform.stores.endpoints.create("demo", "c", {})
    await until(lambda: launcher.workers)

    launcher.workers[0].be_unfit("The weights are damaged.")
    await reach(platform, "Failed")

    assert "The weights are damaged. why fix" == platform.stores.endpoint().failure_reason
    await until(lambda: not platform.fleet.keys())


async def test_a_misspelt_variable_fails_the_endpoint_and_names_the_right_one(platform: Platform) -> None:
    await platform.stores.add(make_model("typo", MAX_TOTEL_TOKENS="5"), make_config("typo", Variant("v", "typo")))

    await create(platform, "typo", until_status="Failed")

    assert "Did you mean 'MAX_TOTAL_TOKENS'?" in platform.stores.endpoint().failure_reason


async def test_a_fault_of_our_own_fails_the_endpoint_without_its_details_and_is_logged(
    platform: Platform, caplog: pytest.LogCaptureFixture
) -> None:
    platform.preparer.fail("m", RuntimeError("token hf_secret"))

    await create(platform, until_status="Failed")

    assert "RuntimeError" in platform.stores.endpoint().failure_reason
    assert "hf_secret" not in platform.stores.endpoint().failure_reason
    assert "bringing up" in caplog.text


async def test_progress_is_written_for_people_to_read(platform: Platform) -> None:
    await create(platform)

    written = (platform.logs / "demo" / "deployment.log").read_text()

    steps = [
        "variant AllTraffic: preparing model 'm'",
        "download 50 %: acme/m",
        "It is a fake.",
        "starting 1",
        "in service",
    ]
    places = [written.find(step) for step in steps]
    assert -1 not in places
    assert places == sorted(places)
    assert written.startswith("2026-01-01T00:00:00.000000Z ")


async def test_endpoints_come_up_beside_each_other(platform: Platform) -> None:
    held = platform.preparer.hold("m")
    await platform.stores.add(make_model("n"), make_config("cn", Variant("v", "n")))
    await platform.stores.endpoints.create("slow", "c", {})

    await create(platform, "cn", "fast")

    assert platform.stores.status("slow") == "Creating"
    held.set()
    await reach(platform, "InService", "slow")


# Updating


async def test_an_update_takes_over_when_it_is_up_and_the_old_replicas_go(
    platform: Platform, launcher: ScriptedLauncher
) -> None:
    await create(platform)
    old = platform.key()
    launcher.auto_ready = False

    await platform.stores.endpoints.update("demo", "c")
    await until(lambda: len(launcher.workers) == 2)
    before = (platform.stores.status(), platform.key(), len(platform.fleet.replicas(old)))
    launcher.workers[1].become_ready()
    await reach(platform, "InService")

    assert before == ("Updating", old, 1)  # requests go on to the old one
    assert platform.key() != old
    assert platform.fleet.status(platform.key()).ready == 1
    await until(lambda: deployments(platform) == {platform.key().deployment})


async def test_an_update_that_fails_goes_back_and_tells_why(platform: Platform, launcher: ScriptedLauncher) -> None:
    await create(platform)
    old = platform.key()
    launcher.auto_ready = False
    seen: list[str] = []
    wake = platform.stores.endpoints.on_change

    def note(name: str) -> None:
        seen.append(platform.stores.status())
        wake(name)

    platform.stores.endpoints.on_change = note
    await platform.stores.add(make_config("c2"))
    await platform.stores.endpoints.update("demo", "c2")
    await until(lambda: len(launcher.workers) == 2)

    launcher.workers[1].be_unfit("The weights are damaged.")
    await reach(platform, "InService")

    assert seen == ["Updating", "RollingBack", "InService"]
    assert old == platform.key()
    assert platform.fleet.status(old).ready == 1
    assert platform.stores.endpoint().failure_reason.startswith("The weights are damaged.")
    assert platform.stores.endpoint().config_name == "c"
    await until(lambda: deployments(platform) == {old.deployment})
    assert len(launcher.workers) == 2  # the old replica went on all the time


async def test_an_update_whose_model_cannot_be_prepared_goes_back(platform: Platform) -> None:
    await create(platform)
    old = platform.key()
    await platform.stores.add(make_model("bad"), make_config("bad", Variant("AllTraffic", "bad")))
    platform.preparer.fail("bad", Unsupported("No engine can load it."))

    await platform.stores.endpoints.update("demo", "bad")
    await reach(platform, "InService")

    assert old == platform.key()
    assert platform.stores.endpoint().failure_reason == "No engine can load it."


async def test_scaling_keeps_the_replicas_that_run(platform: Platform, launcher: ScriptedLauncher) -> None:
    await create(platform)
    key = platform.key()
    first = platform.fleet.replicas(key)[0]

    await platform.stores.endpoints.scale("demo", [VariantChange("AllTraffic", count=3)])
    await reach(platform, "InService")

    assert key == platform.key()
    assert platform.fleet.status(key).ready == 3
    assert first in platform.fleet.replicas(key)
    assert len(launcher.workers) == 3


async def test_a_failed_endpoint_can_be_updated_into_service(platform: Platform) -> None:
    platform.preparer.fail("m", Unsupported("Not yet."))
    await create(platform, until_status="Failed")
    platform.preparer.failures.clear()

    await platform.stores.endpoints.update("demo", "c")
    await reach(platform, "InService")

    assert platform.stores.endpoint().failure_reason == ""


# Deleting


async def test_a_deleted_endpoint_is_gone_when_its_processes_are(
    platform: Platform, launcher: ScriptedLauncher
) -> None:
    await create(platform)
    launcher.workers[0].ends_when_asked = False

    await platform.stores.endpoints.delete("demo")
    await until(lambda: "TERM" in launcher.workers[0].signals)
    before = platform.stores.status()
    launcher.workers[0].exit("exited with status 0")
    await reach(platform, "")

    assert before == "Deleting"
    assert platform.fleet.keys() == []


async def test_deleting_while_it_is_created_cancels_the_preparation(platform: Platform) -> None:
    platform.preparer.hold("m")
    await platform.stores.endpoints.create("demo", "c", {})
    await until(lambda: platform.preparer.running)

    await platform.stores.endpoints.delete("demo")
    await reach(platform, "")

    assert platform.preparer.cancelled == ["acme/m"]


async def test_deleting_while_its_replicas_start_stops_them(platform: Platform, launcher: ScriptedLauncher) -> None:
    launcher.auto_ready = False
    await platform.stores.endpoints.create("demo", "c", {})
    await until(lambda: launcher.workers)

    await platform.stores.endpoints.delete("demo")
    await reach(platform, "")

    assert "TERM" in launcher.workers[0].signals


async def test_deleting_during_an_update_takes_both_deployments_down(
    platform: Platform, launcher: ScriptedLauncher
) -> None:
    await create(platform)
    launcher.auto_ready = False
    await platform.stores.endpoints.update("demo", "c")
    await until(lambda: len(launcher.workers) == 2)

    await platform.stores.endpoints.delete("demo")
    await reach(platform, "")

    assert all("TERM" in worker.signals for worker in launcher.workers)


async def test_a_failed_endpoint_can_be_deleted(platform: Platform) -> None:
    platform.preparer.fail("m", Unsupported("No."))
    await create(platform, until_status="Failed")

    await platform.stores.endpoints.delete("demo")

    await reach(platform, "")


async def test_a_name_can_be_used_again_at_once(platform: Platform) -> None:
    for _ in range(3):
        await create(platform)
        await platform.stores.endpoints.delete("demo")
        await reach(platform, "")

    await create(platform)


async def test_a_deleted_endpoint_leaves_no_task_behind(platform: Platform) -> None:
    await create(platform)
    await platform.stores.endpoints.delete("demo")
    await reach(platform, "")

    await until(lambda: not [task for task in asyncio.all_tasks() if "demo" in task.get_name()])


# Starting again


async def test_a_restart_brings_endpoints_back_through_system_updating(tmp_path: Path) -> None:
    async with open_platform(tmp_path, ScriptedLauncher(auto_ready=True)) as first:
        await create(first)
        before = first.stores.endpoint()

    launcher = ScriptedLauncher()
    async with open_platform(tmp_path, launcher) as second:
        await until(lambda: launcher.workers)
        meanwhile = second.stores.status()
        launcher.workers[0].become_ready()
        await reach(second, "InService")

        assert meanwhile == "SystemUpdating"
        assert before.current == second.stores.endpoint().current
        assert second.fleet.status(second.key()).ready == 1


async def test_a_restart_needs_neither_the_model_nor_the_configuration_any_more(tmp_path: Path) -> None:
    async with open_platform(tmp_path, ScriptedLauncher(auto_ready=True)) as first:
        await create(first)
        await first.stores.models.delete("m")
        await first.stores.configs.delete("c")

    async with open_platform(tmp_path, ScriptedLauncher(auto_ready=True)) as second:
        await reach(second, "InService")


async def test_an_endpoint_that_cannot_be_brought_back_has_failed_and_says_why(tmp_path: Path) -> None:
    async with open_platform(tmp_path, ScriptedLauncher(auto_ready=True)) as first:
        await create(first)

    preparer = FakePreparer()
    preparer.fail("m", NotFound("The folder is gone."))
    async with open_platform(tmp_path, ScriptedLauncher(), preparer) as second:
        await reach(second, "Failed")

        assert second.stores.endpoint().failure_reason == "The folder is gone."


async def test_failed_endpoints_stay_failed_over_a_restart(tmp_path: Path) -> None:
    preparer = FakePreparer()
    preparer.fail("m", Unsupported("No."))
    async with open_platform(tmp_path, ScriptedLauncher(), preparer) as first:
        await create(first, until_status="Failed")

    launcher = ScriptedLauncher()
    async with open_platform(tmp_path, launcher) as second:
        await create(second, name="other", until_status="Creating")
        await until(lambda: launcher.workers)  # the other one's: by now the failed one was looked at too

        assert second.stores.status() == "Failed"


async def test_a_restart_tries_again_what_could_not_be_brought_back(tmp_path: Path) -> None:
    async with open_platform(tmp_path, ScriptedLauncher(auto_ready=True)) as first:
        await create(first)
    preparer = FakePreparer()
    preparer.fail("m", NotFound("The disk is not mounted."))
    async with open_platform(tmp_path, ScriptedLauncher(), preparer) as second:
        await reach(second, "Failed")

    async with open_platform(tmp_path, ScriptedLauncher(auto_ready=True)) as third:
        await reach(third, "InService")

        assert third.stores.endpoint().failure_reason == ""


async def test_a_restart_in_the_middle_of_an_update_keeps_the_old_one_serving(tmp_path: Path) -> None:
    await interrupt(tmp_path, "updating")

    launcher = ScriptedLauncher()
    async with open_platform(tmp_path, launcher) as platform:
        await until(lambda: len(launcher.workers) == 2)
        old = platform.stores.endpoint().current
        assert old is not None
        launcher.workers[0].become_ready()
        await until(lambda: platform.fleet.status(platform.key()).ready == 1)
        meanwhile = platform.stores.endpoint()
        launcher.workers[1].become_ready()
        await reach(platform, "InService")

        assert (EndpointStatus.UPDATING, old) == (meanwhile.status, meanwhile.current)
        assert platform.stores.endpoint().current != old


async def test_a_change_that_cannot_be_stored_is_tried_again(
    platform: Platform, launcher: ScriptedLauncher, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """A full disk must not leave an endpoint in between for good."""
    monkeypatch.setattr("saker.serving.controller.RETRY_S", 0.01)
    transition = platform.stores.endpoints.transition
    failures = iter([OSError("No space left on device")] * 2)

    async def fail_at_first(name: str, change: object) -> object:
        if (error := next(failures, None)) is not None:
            raise error
        return await transition(name, change)  # type: ignore[arg-type]  # passed through as it came

    monkeypatch.setattr(platform.stores.endpoints, "transition", fail_at_first)

    await create(platform)

    assert "No space left" in caplog.text


async def interrupt(folder: Path, point: str) -> None:
    """Leave an endpoint in the middle of something, as the end of the process would."""
    async with AsyncExitStack() as stack:
        launcher, preparer = ScriptedLauncher(auto_ready=True), FakePreparer()
        platform = await stack.enter_async_context(open_platform(folder, launcher, preparer))
        if point in ("updating", "deleting"):
            await create(platform)
        launcher.auto_ready = False
        if point == "preparing":
            preparer.hold("m")
        if point in ("preparing", "starting"):
            await platform.stores.endpoints.create("demo", "c", {})
            await until(lambda: preparer.running or launcher.workers)
        elif point == "updating":
            await platform.stores.endpoints.update("demo", "c")
            await until(lambda: len(launcher.workers) == 2)
        else:
            launcher.workers[0].ends_when_asked = False
            await platform.stores.endpoints.delete("demo")
            await until(lambda: launcher.workers[0].signals)
            stack.callback(launcher.workers[0].exit, "exited with status 0")


@pytest.mark.parametrize(
    ("point", "expected"),
    [("preparing", "InService"), ("starting", "InService"), ("updating", "InService"), ("deleting", "")],
)
async def test_what_was_interrupted_is_completed_by_the_next_start(tmp_path: Path, point: str, expected: str) -> None:
    await interrupt(tmp_path, point)

    async with open_platform(tmp_path, ScriptedLauncher(auto_ready=True)) as platform:
        await reach(platform, expected)

        await until(lambda: len(platform.fleet.keys()) == (1 if expected else 0))


@pytest.mark.parametrize("turns", range(0, 60, 4))
async def test_an_end_at_any_moment_leaves_a_state_that_the_next_start_completes(tmp_path: Path, turns: int) -> None:
    async with open_platform(tmp_path, ScriptedLauncher(auto_ready=True)) as first:
        await first.stores.endpoints.create("demo", "c", {})
        for _ in range(turns):
            await asyncio.sleep(0)

    async with open_platform(tmp_path, ScriptedLauncher(auto_ready=True)) as second:
        await reach(second, "InService")
        assert second.stores.endpoint().status == EndpointStatus.IN_SERVICE


async def test_a_change_that_is_stored_after_the_end_starts_nothing(tmp_path: Path) -> None:
    async with open_platform(tmp_path, ScriptedLauncher(auto_ready=True)) as platform:
        await platform.controller.close()
        await platform.stores.endpoints.create("late", "c", {})

        assert not [task for task in asyncio.all_tasks() if "late" in task.get_name()]


async def test_a_log_that_cannot_be_written_stops_no_deployment(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    (tmp_path / "logs").write_text("a file in the folder's place")

    async with open_platform(tmp_path, ScriptedLauncher(auto_ready=True)) as platform:
        await create(platform)

    assert "endpoint demo: in service" in caplog.text
