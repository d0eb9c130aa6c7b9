"""The Kubernetes manifests: valid by the published schemas, and of one mind with the server."""

import importlib.metadata
import signal
from typing import Any

import kubernetes_validate
import pytest
import yaml

from server.settings import Settings
from tests.deploy.proxies import DEPLOY
from tests.server.running import running

FILES = sorted((DEPLOY / "kubernetes").glob("*.yaml"))

OLDEST = "1.30"
"""The first version in which a hook can sleep without a command."""


def manifest(name: str) -> Any:
    return yaml.safe_load((DEPLOY / "kubernetes" / f"{name}.yaml").read_text())


def pod() -> Any:
    return manifest("deployment")["spec"]["template"]["spec"]


def container() -> Any:
    (only,) = pod()["containers"]
    return only


def variables() -> dict[str, str]:
    return {variable["name"]: variable["value"] for variable in container()["env"]}


@pytest.mark.parametrize("version", [OLDEST, kubernetes_validate.latest_version()])
@pytest.mark.parametrize("file", FILES, ids=lambda file: file.stem)
def test_each_manifest_is_valid(file: Any, version: str) -> None:
    """Strictly: with no field that Kubernetes does not know."""
    kubernetes_validate.validate(yaml.safe_load(file.read_text()), version, strict=True)


def test_a_manifest_with_a_fault_is_not_valid() -> None:
    document = manifest("deployment")
    document["spec"]["template"]["spec"]["containers"][0]["lifecycle"]["preStop"]["sleep"] = "5s"
    with pytest.raises(kubernetes_validate.ValidationError):
        kubernetes_validate.validate(document, OLDEST, strict=True)


def test_all_select_the_pods_of_the_deployment() -> None:
    deployment = manifest("deployment")
    labels = deployment["spec"]["template"]["metadata"]["labels"]
    assert deployment["spec"]["selector"]["matchLabels"].items() <= labels.items()
    assert manifest("service")["spec"]["selector"].items() <= labels.items()
    budget = manifest("disruption-budget")
    assert budget["spec"]["selector"]["matchLabels"].items() <= labels.items()
    target = manifest("autoscaler")["spec"]["scaleTargetRef"]
    assert target == {
        "apiVersion": deployment["apiVersion"],
        "kind": deployment["kind"],
        "name": deployment["metadata"]["name"],
    }


def test_the_service_leads_to_the_port_of_the_server() -> None:
    (port,) = container()["ports"]
    (served,) = manifest("service")["spec"]["ports"]
    assert served["targetPort"] == port["name"]
    assert port["containerPort"] == Settings().port


def test_the_image_is_of_this_version() -> None:
    assert container()["image"] == f"wsroll-server:{importlib.metadata.version('wsroll')}"


def test_readiness_is_lost_while_the_server_drains_and_liveness_is_not() -> None:
    ready, alive = (container()[probe] for probe in ("readinessProbe", "livenessProbe"))
    paths = [probe["httpGet"]["path"] for probe in (ready, alive)]
    with running("--drain", "600") as server:
        assert [server.get(path)[0] for path in paths] == [200, 200]
        server.signal(signal.SIGTERM)
        server.wait_for_log("draining")
        assert [server.get(path)[0] for path in paths] == [503, 200]
        server.signal(signal.SIGTERM)
        assert server.wait() == 0
    takes = ready["periodSeconds"] * ready["failureThreshold"] + ready["timeoutSeconds"]
    assert takes < float(variables()["WSROLL_DRAIN"])


def test_a_pod_has_time_for_all_that_it_does_at_its_end() -> None:
    wait = container()["lifecycle"]["preStop"]["sleep"]["seconds"]
    drain, grace = (float(variables()[name]) for name in ("WSROLL_DRAIN", "WSROLL_GRACE"))
    assert wait + drain + grace < pod()["terminationGracePeriodSeconds"]


def test_the_autoscaler_counts_what_the_server_tells() -> None:
    """A metric of that name is on ``/metrics``, at the path and port that the pods name."""
    (metric,) = manifest("autoscaler")["spec"]["metrics"]
    name, target = metric["pods"]["metric"]["name"], metric["pods"]["target"]
    annotations = manifest("deployment")["spec"]["template"]["metadata"]["annotations"]
    with running() as server:
        _, _, body = server.get(annotations["prometheus.io/path"])
    assert f"# TYPE {name} gauge" in body.decode().splitlines()
    assert annotations["prometheus.io/port"] == str(Settings().port)
    assert 0 < int(target["averageValue"]) < Settings().max_connections
