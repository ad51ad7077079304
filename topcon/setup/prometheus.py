"""A configuration of Prometheus that scrapes topcon.

https://prometheus.io/docs/prometheus/latest/configuration/configuration/
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from topcon.exporter.listen import LOOPBACK, TcpAddress

if TYPE_CHECKING:
    from collections.abc import Iterable

    from topcon.exporter.listen import Address

_ANY = {"0.0.0.0": "127.0.0.1", "::": "::1"}  # noqa: S104  nothing is bound here
"""Listening at every address means at this one, too."""

_CONFIG = """\
## Scrapes topcon. Check it with: promtool check config prometheus.yml
## A line with one # is a choice: take the # away to make it.

global:
  scrape_interval: 15s

## topcon setup alerts > topcon.rules.yml
## The pattern lets Prometheus start without that file.
rule_files:
  - topcon.rules*.yml

scrape_configs:
  - job_name: topcon
    static_configs:
      - targets: [{targets}]
    ## What topcon serve --web-config FILE asks for.
    #scheme: https
    #tls_config: {{ca_file: /etc/prometheus/topcon-ca.pem}}
    #basic_auth: {{username: prometheus, password_file: /etc/prometheus/topcon-password}}

  ## In Kubernetes: a topcon on each node in the place of kubelet's cAdvisor, under the labels by which the dashboards
  ## and rules of kubernetes-mixin and kube-prometheus choose. Scrape only one of the two: else all is counted twice.
  ## topcon runs with --labels kubelet in pods that have the label app.kubernetes.io/name: topcon and name their port.
  #- job_name: topcon-as-kubelet
  #  metrics_path: /metrics/cadvisor
  #  honor_labels: true
  #  kubernetes_sd_configs: [{{role: pod}}]
  #  relabel_configs:
  #    - {{source_labels: [__meta_kubernetes_pod_label_app_kubernetes_io_name], regex: topcon, action: keep}}
  #    - {{source_labels: [__meta_kubernetes_pod_node_name], target_label: node}}
  #    - {{source_labels: [__metrics_path__], target_label: metrics_path}}
  #    - {{target_label: job, replacement: kubelet}}
"""


def scrape_config(listen: Iterable[Address]) -> str:
    """Return the configuration.

    Args:
        listen: where topcon listens. What is no address is left out, since Prometheus knows no other.
    """
    targets = [_target(each) for each in listen if isinstance(each, TcpAddress)] or [_target(LOOPBACK)]
    # JSON's strings are YAML's; what is not ASCII stays, since YAML does not put surrogates together.
    return _CONFIG.format(targets=", ".join(json.dumps(target, ensure_ascii=False) for target in targets))


def _target(listen: TcpAddress) -> str:
    """Return where it is reached from this host."""
    return str(TcpAddress(_ANY.get(listen.address, listen.address), listen.port))
