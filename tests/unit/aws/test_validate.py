from __future__ import annotations

from typing import Any

import pytest

from saker.aws import Catalog
from saker.aws.patterns import find_pattern
from saker.aws.validate import validate
from saker.core.errors import InvalidInput
from support.aws_wire import make_call

VARIANT = {"VariantName": "a", "ModelName": "m", "InstanceType": "ml.m5.large", "InitialInstanceCount": 1}


def violations(catalog: Catalog, service: str, operation: str, parameters: dict[str, Any]) -> str:
    with pytest.raises(InvalidInput) as caught:
        validate(make_call(catalog, service, operation), parameters)
    return str(caught.value)


def test_a_long_name_reads_as_at_aws(catalog: Catalog) -> None:
    name = "a" * 64
    expected = (
        f"1 validation error detected: Value '{name}' at 'modelName' failed to satisfy constraint: "
        "Member must have length less than or equal to 63"
    )
    assert expected == violations(catalog, "sagemaker", "CreateModel", {"ModelName": name})


def test_a_wrong_character_names_the_pattern(catalog: Catalog) -> None:
    expected = (
        "1 validation error detected: Value 'a_b' at 'endpointName' failed to satisfy constraint: "
        r"Member must satisfy regular expression pattern: [a-zA-Z0-9](-*[a-zA-Z0-9]){0,62}"
    )
    parameters = {"EndpointName": "a_b", "EndpointConfigName": "c"}
    assert expected in violations(catalog, "sagemaker", "CreateEndpoint", parameters)


def test_a_missing_member_is_null(catalog: Catalog) -> None:
    assert (
        "2 validation errors detected: "
        "Value null at 'endpointName' failed to satisfy constraint: Member must not be null; "
        "Value null at 'endpointConfigName' failed to satisfy constraint: Member must not be null"
    ) == violations(catalog, "sagemaker", "CreateEndpoint", {})


def test_members_of_lists_are_counted_from_one(catalog: Catalog) -> None:
    bad = VARIANT | {"InitialInstanceCount": -1}
    parameters = {"EndpointConfigName": "c", "ProductionVariants": [VARIANT, bad]}
    found = violations(catalog, "sagemaker", "CreateEndpointConfig", parameters)
    assert "Value '-1' at 'productionVariants.2.member.initialInstanceCount' failed to satisfy constraint: " in found
    assert found.endswith("Member must have value greater than or equal to 1")


def test_a_word_outside_an_enumeration_gets_the_allowed_ones(catalog: Catalog) -> None:
    bad = {"EndpointName": "e", "DesiredWeightsAndCapacities": [{"VariantName": "v"}]}
    validate(make_call(catalog, "sagemaker", "UpdateEndpointWeightsAndCapacities"), bad)
    found = violations(catalog, "sagemaker", "ListEndpoints", {"SortBy": "Color"})
    assert "Value 'Color' at 'sortBy' failed to satisfy constraint: Member must satisfy enum value set: [" in found


def test_values_of_maps_stay_out_of_the_message(catalog: Catalog) -> None:
    parameters = {"ModelName": "m", "PrimaryContainer": {"Environment": {"HF_TOKEN": "secret" * 20000}}}
    found = violations(catalog, "sagemaker", "CreateModel", parameters)
    assert "Value at 'primaryContainer.environment' failed to satisfy constraint: Map value must satisfy" in found
    assert "secret" not in found


def test_bodies_stay_out_of_the_message(catalog: Catalog) -> None:
    found = violations(catalog, "sagemaker-runtime", "InvokeEndpoint", {"EndpointName": "e", "Body": b"x" * 30_000_000})
    assert "Value at 'body' failed to satisfy constraint" in found


def test_a_long_value_is_cut(catalog: Catalog) -> None:
    found = violations(catalog, "sagemaker", "CreateModel", {"ModelName": "a" * 10_000})
    assert 500 > len(found)


def test_at_most_ten_violations_are_told(catalog: Catalog) -> None:
    tags = [{"Key": "", "Value": ""} for _ in range(30)]
    found = violations(catalog, "sagemaker", "AddTags", {"ResourceArn": "arn:aws:sagemaker:r:0:x", "Tags": tags})
    assert found.startswith("10 validation errors detected")


@pytest.mark.parametrize(
    ("service", "operation", "code"),
    [
        ("sagemaker", "CreateEndpoint", "ValidationException"),
        ("sagemaker-runtime", "InvokeEndpoint", "ValidationError"),
        ("logs", "CreateLogGroup", "InvalidParameterException"),
        ("iam", "GetRole", "ValidationError"),
    ],
)
def test_each_service_has_its_own_code(catalog: Catalog, service: str, operation: str, code: str) -> None:
    with pytest.raises(InvalidInput) as caught:
        validate(make_call(catalog, service, operation), {})
    assert code == caught.value.code


@pytest.mark.parametrize(
    ("pattern", "good", "bad"),
    [
        (r"\p{ASCII}*", "plain", "é"),
        (r"^([\p{L}\p{Z}\p{N}_.:/=+\-@]*)$", "Ünïcode 1", "a;b"),
        (r"[ -~\p{M}]*", "a\u0301", "a\tb"),
        (r"\P{C}*$}", "text", "a\x00"),
        (r"[\u0020-\uD7FF\uE000-\uFFFD\uD800\uDC00-\uDBFF\uDFFF\r\n\t]*", "a\U0001f600", "\x01"),
        (r"[\w-_]*", "a-b", "a b"),
    ],
)
def test_patterns_written_for_java_are_understood(pattern: str, good: str, bad: str) -> None:
    compiled = find_pattern(pattern)
    assert compiled is not None
    assert compiled.fullmatch(good)
    if pattern != r"[ -~\p{M}]*":  # marks are widened to all that is not a word
        assert not compiled.fullmatch(bad)


def test_a_pattern_that_python_cannot_express_is_left_out() -> None:
    assert find_pattern(r"[\P{C}\s]+\p{Unknown}") is None


def test_all_patterns_of_the_runtime_can_be_checked(catalog: Catalog) -> None:
    for name in ("sagemaker-runtime", "sagemaker-metrics"):
        model = catalog.services[name].model
        patterns = {model.shape_for(shape).metadata.get("pattern", "") for shape in model.shape_names}
        assert set() == {pattern for pattern in patterns if find_pattern(pattern) is None}


def test_nearly_all_patterns_of_sagemaker_can_be_checked(catalog: Catalog) -> None:
    """The others take exponential time, or nearly; none of them is a name's."""
    model = catalog.services["sagemaker"].model
    shapes = [model.shape_for(name) for name in model.shape_names]
    unchecked = {shape.name for shape in shapes if find_pattern(shape.metadata.get("pattern", "")) is None}
    assert 15 > len(unchecked)
    assert {"ModelName", "EndpointName", "EndpointConfigName", "VariantName"}.isdisjoint(unchecked)


def test_a_value_made_to_stop_the_matcher_does_not(catalog: Catalog) -> None:
    """Its pattern is https://([.\\-_a-zA-Z0-9]+/?){3,1016}."""
    call = make_call(catalog, "sagemaker", "CreateCodeRepository")
    parameters = {"CodeRepositoryName": "r", "GitConfig": {"RepositoryUrl": "https://" + "ab0" * 300 + "!"}}
    validate(call, parameters)


def test_a_value_longer_than_patterns_are_tried_on_passes(catalog: Catalog) -> None:
    call = make_call(catalog, "iam", "CreatePolicy")
    validate(call, {"PolicyName": "p", "PolicyDocument": "\x00" * 3000})
    with pytest.raises(InvalidInput):
        validate(call, {"PolicyName": "p", "PolicyDocument": "\x00"})
