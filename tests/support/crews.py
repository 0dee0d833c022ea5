"""A small custom resource to try API servers on: one field for each thing that a schema can say."""

from __future__ import annotations

from typing import Any

import yaml

Object = dict[str, Any]

CREW_DEFINITION: Object = yaml.safe_load(r"""
apiVersion: apiextensions.k8s.io/v1
kind: CustomResourceDefinition
metadata: {name: crews.example.dev}
spec:
  group: example.dev
  scope: Namespaced
  names: {plural: crews, singular: crew, kind: Crew, listKind: CrewList, shortNames: [cw], categories: [all]}
  versions:
    - name: v1
      served: true
      storage: true
      subresources:
        status: {}
        scale:
          specReplicasPath: .spec.replicas
          statusReplicasPath: .status.replicas
          labelSelectorPath: .status.selector
      additionalPrinterColumns:
        - {name: Size, type: integer, jsonPath: .spec.size}
        - {name: Ready, type: string, jsonPath: '.status.conditions[?(@.type=="Ready")].reason'}
      schema:
        openAPIV3Schema:
          type: object
          required: [spec]
          properties:
            spec:
              type: object
              required: [size]
              x-kubernetes-validations:
                - {rule: "!has(self.max) || self.size <= self.max", message: size must not exceed max}
                - {rule: self.port != 13, message: port 13 is unlucky, fieldPath: .port, reason: FieldValueForbidden}
              properties:
                size: {type: integer, minimum: 0, maximum: 100}
                max: {type: integer, format: int32}
                replicas: {type: integer}
                port: {type: integer, default: 80}
                colour: {type: string, enum: [Red, Blue], default: Red}
                word: {type: string, pattern: '^[a-z]+$', minLength: 2, maxLength: 5}
                namespace:
                  type: string
                  maxLength: 20
                  x-kubernetes-validations: [{rule: self == oldSelf, message: namespace is immutable}]
                ratio:
                  type: number
                  minimum: 0
                  exclusiveMinimum: true
                  x-kubernetes-validations: [{rule: self < 100.0, message: ratio must be small}]
                amount: {x-kubernetes-int-or-string: true}
                wait:
                  type: string
                  format: duration
                  x-kubernetes-validations: [{rule: duration(self) >= duration('1s'), message: wait must be 1s or more}]
                nested: {type: object, default: {}, properties: {deep: {type: string, default: x}}}
                tags:
                  type: array
                  items: {type: string, maxLength: 10}
                  x-kubernetes-list-type: set
                  minItems: 1
                  maxItems: 3
                  x-kubernetes-validations: [{rule: "!self.exists(tag, tag == 'bad')", message: no tag may be bad}]
                queues:
                  type: array
                  maxItems: 5
                  x-kubernetes-list-type: map
                  x-kubernetes-list-map-keys: [name]
                  items:
                    type: object
                    required: [name]
                    properties: {name: {type: string}, weight: {type: number, default: 1}}
                    x-kubernetes-validations: [{rule: self.weight > 0.0, message: weight must be positive}]
                labels: {type: object, maxProperties: 2, additionalProperties: {type: string, maxLength: 3}}
                open: {type: object, x-kubernetes-preserve-unknown-fields: true}
                nothing: {type: string, nullable: true}
            status:
              type: object
              properties:
                replicas: {type: integer}
                selector: {type: string}
                note: {type: string}
                conditions:
                  type: array
                  x-kubernetes-list-type: map
                  x-kubernetes-list-map-keys: [type]
                  items:
                    type: object
                    required: [type]
                    properties: {type: {type: string}, reason: {type: string}}
""")


def crew(namespace: str, /, name: str = "a", **spec: Any) -> Object:
    """A Crew of size 1, with what else it is given."""
    metadata = {"name": name, "namespace": namespace}
    return {"apiVersion": "example.dev/v1", "kind": "Crew", "metadata": metadata, "spec": {"size": 1, **spec}}


def deployment(namespace: str, name: str = "web", image: str = "worker:1", **spec: Any) -> Object:
    """A Deployment of one container, with one replica unless told otherwise."""
    labels = {"app": name}
    template = {"metadata": {"labels": labels}, "spec": {"containers": [{"name": "worker", "image": image}]}}
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": name, "namespace": namespace},
        "spec": {"selector": {"matchLabels": labels}, "template": template, **spec},
    }
