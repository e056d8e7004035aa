"""An endpoint's states: whatever happens in whatever order, each is one that clients can rely on."""

from __future__ import annotations

from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule
from msgspec.structs import replace

from saker.core.errors import SakerError, Unavailable
from saker.serving import lifecycle
from saker.serving.base import Container, DeployedVariant, Deployment, Endpoint, EndpointStatus, Variant

Status = EndpointStatus


def make_deployment(id: str = "d1", count: int = 1) -> Deployment:
    return Deployment(id, f"config-of-{id}", (DeployedVariant(Variant("v", "m", count=count), Container()),))


def make_endpoint(status: EndpointStatus, current: str | None = None, target: str | None = None) -> Endpoint:
    return Endpoint(
        "demo",
        status,
        1.0,
        1.0,
        f"config-of-{target or current}",
        current=make_deployment(current) if current else None,
        target=make_deployment(target) if target else None,
    )


FAILURE = Unavailable("No memory.", why="It has 1 of 2 GiB.", fix="Add some.")
CREATING = make_endpoint(Status.CREATING, target="d1")
IN_SERVICE = make_endpoint(Status.IN_SERVICE, current="d1")
UPDATING = make_endpoint(Status.UPDATING, current="d1", target="d2")


# One step at a time


def test_a_new_endpoint_that_comes_up_is_in_service() -> None:
    changed = lifecycle.after_success(CREATING, make_deployment("d1"))

    assert changed == IN_SERVICE
    assert changed.takes_requests


def test_a_new_endpoint_that_does_not_come_up_has_failed_with_all_three_sentences() -> None:
    changed = lifecycle.after_failure(CREATING, make_deployment("d1"), FAILURE)

    assert (changed.status, changed.failure_reason) == (Status.FAILED, "No memory. It has 1 of 2 GiB. Add some.")
    assert not changed.takes_requests


def test_while_an_update_comes_up_requests_go_where_they_went() -> None:
    changed = lifecycle.updating(IN_SERVICE, make_deployment("d2"))

    assert changed == UPDATING
    assert changed.takes_requests
    assert lifecycle.kept_deployments(changed) == {"d1", "d2"}
    assert lifecycle.wanted_deployment(changed) == make_deployment("d2")


def test_an_update_that_comes_up_takes_over() -> None:
    changed = lifecycle.after_success(UPDATING, make_deployment("d2"))

    assert changed == make_endpoint(Status.IN_SERVICE, current="d2")
    assert lifecycle.kept_deployments(changed) == {"d2"}


def test_an_update_that_does_not_come_up_goes_back() -> None:
    changed = lifecycle.after_failure(UPDATING, make_deployment("d2"), FAILURE)

    assert changed == replace(
        make_endpoint(Status.ROLLING_BACK, current="d1"), failure_reason=str(FAILURE), config_name="config-of-d1"
    )
    assert lifecycle.kept_deployments(changed) == {"d1"}


def test_an_endpoint_that_went_back_is_in_service_and_still_tells_why() -> None:
    back = lifecycle.after_failure(UPDATING, make_deployment("d2"), FAILURE)

    changed = lifecycle.after_success(back, make_deployment("d1"))

    assert (changed.status, changed.failure_reason) == (Status.IN_SERVICE, str(FAILURE))
    assert changed.config_name == "config-of-d1"


def test_a_new_update_forgets_why_the_last_one_failed() -> None:
    failed = replace(IN_SERVICE, failure_reason="old")

    assert lifecycle.updating(failed, make_deployment("d2")).failure_reason == ""


def test_an_endpoint_that_cannot_go_back_either_has_failed() -> None:
    back = lifecycle.after_failure(UPDATING, make_deployment("d2"), FAILURE)

    assert lifecycle.after_failure(back, make_deployment("d1"), FAILURE).status == Status.FAILED


def test_a_failed_endpoint_runs_nothing_and_an_update_of_it_has_nothing_to_go_back_to() -> None:
    failed = lifecycle.after_failure(
        make_endpoint(Status.SYSTEM_UPDATING, current="d1"), make_deployment("d1"), FAILURE
    )

    changed = lifecycle.updating(failed, make_deployment("d2"))

    assert lifecycle.kept_deployments(failed) == set()
    assert not changed.takes_requests
    assert lifecycle.after_failure(changed, make_deployment("d2"), FAILURE).status == Status.FAILED


def test_a_restart_brings_back_what_was_in_service() -> None:
    changed = lifecycle.after_restart(IN_SERVICE)

    assert changed == make_endpoint(Status.SYSTEM_UPDATING, current="d1")
    assert changed.takes_requests
    assert lifecycle.after_success(changed, make_deployment("d1")) == IN_SERVICE


def test_a_restart_tries_again_what_could_not_be_brought_back() -> None:
    failed = make_endpoint(Status.FAILED, current="d1")

    assert Status.SYSTEM_UPDATING == lifecycle.after_restart(failed).status


def test_a_restart_leaves_everything_else_where_it_was() -> None:
    never_up = make_endpoint(Status.FAILED, target="d1")
    others = [make_endpoint(status, current="d1") for status in Status if status not in ("InService", "Failed")]

    for endpoint in (never_up, *others):
        assert endpoint is lifecycle.after_restart(endpoint)


def test_news_of_a_deployment_that_is_wanted_no_more_changes_nothing() -> None:
    for endpoint in (UPDATING, IN_SERVICE, make_endpoint(Status.DELETING, current="d1")):
        assert endpoint is lifecycle.after_success(endpoint, make_deployment("d0"))
        assert endpoint is lifecycle.after_failure(endpoint, make_deployment("d0"), FAILURE)


def test_news_of_a_deployment_with_other_counts_changes_nothing() -> None:
    scaled = replace(UPDATING, target=make_deployment("d1", count=3))

    assert scaled is lifecycle.after_success(scaled, make_deployment("d1"))


def test_a_long_reason_is_cut_to_what_the_api_allows() -> None:
    changed = lifecycle.after_failure(CREATING, make_deployment("d1"), SakerError("x" * 5000))

    assert len(changed.failure_reason) == 1024


# All steps in any order


class AnyHistory(RuleBasedStateMachine):
    """A caller, a controller whose news may be late, and restarts, in any order."""

    @initialize()
    def create(self) -> None:
        self.deployments = [make_deployment("d0")]
        self.was_deleted = False
        self.endpoint = Endpoint("demo", Status.CREATING, 1.0, 1.0, "config-of-d0", target=self.deployments[0])

    def is_settled(self) -> bool:
        return self.endpoint.status in (Status.IN_SERVICE, Status.FAILED)

    @precondition(is_settled)
    @rule()
    def update(self) -> None:
        self.deployments.append(make_deployment(f"d{len(self.deployments)}"))
        self.endpoint = lifecycle.updating(self.endpoint, self.deployments[-1])

    @precondition(lambda self: self.is_settled() and self.endpoint.current is not None)
    @rule(count=st.integers(0, 3))
    def scale(self, count: int) -> None:
        assert self.endpoint.current is not None
        self.deployments.append(make_deployment(self.endpoint.current.id, count))
        self.endpoint = lifecycle.updating(self.endpoint, self.deployments[-1])

    @rule()
    def delete(self) -> None:
        self.was_deleted = True
        self.endpoint = replace(self.endpoint, status=Status.DELETING)

    @rule()
    def restart(self) -> None:
        self.endpoint = lifecycle.after_restart(self.endpoint)

    @rule()
    def succeed(self) -> None:
        wanted = lifecycle.wanted_deployment(self.endpoint)
        if wanted is not None:
            self.endpoint = lifecycle.after_success(self.endpoint, wanted)

            assert self.endpoint.status == Status.IN_SERVICE
            assert self.endpoint.current == wanted

    @rule()
    def fail(self) -> None:
        wanted, before = lifecycle.wanted_deployment(self.endpoint), self.endpoint
        if wanted is not None and before.status in lifecycle.COMING_UP:
            self.endpoint = lifecycle.after_failure(before, wanted, FAILURE)
            can_go_back = before.status == Status.UPDATING and before.current is not None

            assert self.endpoint.status == (Status.ROLLING_BACK if can_go_back else Status.FAILED)
            assert self.endpoint.current == before.current
            assert not can_go_back or lifecycle.wanted_deployment(self.endpoint) == before.current

    @rule(data=st.data())
    def hear_late_news(self, data: st.DataObject) -> None:
        deployment, before = data.draw(st.sampled_from(self.deployments)), self.endpoint
        if deployment != lifecycle.wanted_deployment(before):
            assert before is lifecycle.after_success(before, deployment)
            assert before is lifecycle.after_failure(before, deployment, FAILURE)

    @invariant()
    def what_is_in_service_runs_something_and_changes_nothing(self) -> None:
        if self.endpoint.status == Status.IN_SERVICE:
            assert self.endpoint.current is not None
            assert self.endpoint.target is None

    @invariant()
    def requests_have_somewhere_to_go(self) -> None:
        if self.endpoint.takes_requests:
            assert self.endpoint.current is not None
            assert self.endpoint.current.id in lifecycle.kept_deployments(self.endpoint)

    @invariant()
    def what_comes_up_is_something_and_is_kept(self) -> None:
        wanted = lifecycle.wanted_deployment(self.endpoint)
        if self.endpoint.status in lifecycle.COMING_UP:
            assert wanted is not None
        if wanted is not None:
            assert wanted.id in lifecycle.kept_deployments(self.endpoint)
            assert wanted.config_name == self.endpoint.config_name

    @invariant()
    def what_has_failed_says_why(self) -> None:
        assert self.endpoint.failure_reason or self.endpoint.status != Status.FAILED

    @invariant()
    def a_delete_wins_over_everything(self) -> None:
        if self.was_deleted:
            assert self.endpoint.status == Status.DELETING
            assert lifecycle.kept_deployments(self.endpoint) == set()


TestAnyHistory = AnyHistory.TestCase
