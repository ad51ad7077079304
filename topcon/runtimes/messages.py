"""The messages of the CRI and of containerd that topcon needs. The only module that knows protobuf.

CRI: https://github.com/kubernetes/cri-api, ``runtime.v1``. containerd: ``api`` of
https://github.com/containerd/containerd. The descriptors are built from tables when first needed, so no generated code
has to fit the protobuf that is installed.

Text is declared as proto2 has it, and maps as what they are on the wire, lists of entries: one label that is no UTF-8
would cost the whole list otherwise. `text` and `pairs` read them.
"""

from __future__ import annotations

import re
from functools import cache
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from topcon.errors import ParseError, SourceUnavailable

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

REMEDY = "pip install 'topcon[cri]'"

# MESSAGE{FIELD=NUMBER:TYPE ...}: a string without a type, * for repeated, a type with a capital is a message.
_TABLES = {
    "cri": """
        Entry{key=1 value=2}
        VersionRequest{version=1}
        VersionResponse{version=1 runtime_name=2 runtime_version=3 runtime_api_version=4}
        PodSandboxMetadata{name=1 uid=2 namespace=3 attempt=4:uint32}
        ListPodSandboxRequest{}
        ListPodSandboxResponse{items=1:PodSandbox*}
        PodSandbox{id=1 metadata=2:PodSandboxMetadata state=3:int32 created_at=4:int64 labels=5:Entry*
                   annotations=6:Entry* runtime_handler=7}
        ListContainersRequest{filter=1:ContainerFilter}
        ContainerFilter{id=1 pod_sandbox_id=3}
        ListContainersResponse{containers=1:Container*}
        Container{id=1 pod_sandbox_id=2 metadata=3:ContainerMetadata image=4:ImageSpec image_ref=5 state=6:int32
                  created_at=7:int64 labels=8:Entry* annotations=9:Entry*}
        ContainerMetadata{name=1 attempt=2:uint32}
        ImageSpec{image=1 user_specified_image=18}
        ContainerStatusRequest{container_id=1 verbose=2:bool}
        ContainerStatusResponse{status=1:ContainerStatus info=2:Entry*}
        PodSandboxStatusRequest{pod_sandbox_id=1 verbose=2:bool}
        PodSandboxStatusResponse{status=1:PodSandboxStatus info=2:Entry*}
        PodSandboxStatus{id=1 metadata=2:PodSandboxMetadata state=3:int32 created_at=4:int64 labels=7:Entry*
                         annotations=8:Entry* runtime_handler=9}
        ContainerStatus{id=1 metadata=2:ContainerMetadata state=3:int32 created_at=4:int64 started_at=5:int64
                        finished_at=6:int64 exit_code=7:int32 image=8:ImageSpec image_ref=9 reason=10 message=11
                        mounts=14:Mount* log_path=15}
        Mount{container_path=1 host_path=2 readonly=3:bool}
        StopContainerRequest{container_id=1 timeout=2:int64}
        StopPodSandboxRequest{pod_sandbox_id=1}
        RemoveContainerRequest{container_id=1}
        RemovePodSandboxRequest{pod_sandbox_id=1}
    """,
    "containerd": """
        Entry{key=1 value=2}
        Any{type_url=1 value=2:bytes}
        Timestamp{seconds=1:int64 nanos=2:int32}
        ListNamespacesRequest{}
        ListNamespacesResponse{namespaces=1:Namespace*}
        Namespace{name=1}
        ListContainersRequest{filters=1*}
        ListContainerMessage{container=1:Container}
        GetContainerRequest{id=1}
        GetContainerResponse{container=1:Container}
        UpdateContainerRequest{container=1:Container update_mask=2:FieldMask}
        FieldMask{paths=1*}
        Container{id=1 labels=2:Entry* image=3 spec=5:Any snapshotter=6 snapshot_key=7 created_at=8:Timestamp
                  updated_at=9:Timestamp}
        ListTasksRequest{filter=1}
        ListTasksResponse{tasks=1:Process*}
        GetTaskRequest{container_id=1}
        GetTaskResponse{process=1:Process}
        Process{container_id=1 id=2 pid=3:uint32 status=4:int32 stdin=5 stdout=6 stderr=7 terminal=8:bool
                exit_status=9:uint32 exited_at=10:Timestamp}
        KillRequest{container_id=1 exec_id=2 signal=3:uint32 all=4:bool}
        TaskRequest{container_id=1}
        StartRequest{container_id=1 exec_id=2}
        CreateTaskRequest{container_id=1 rootfs=3:Mount* stdin=4 stdout=5 stderr=6 terminal=7:bool}
        MountsRequest{snapshotter=1 key=2}
        MountsResponse{mounts=1:Mount*}
        Mount{type=1 source=2 target=3 options=4*}
    """,
}


def encode(message: str, **values: object) -> bytes:
    """Return a message such as ``cri.VersionRequest`` as bytes; messages within it are dictionaries."""
    encoded: bytes = _classes()[message](**values).SerializeToString()
    return encoded


def decode(message: str, data: bytes) -> Any:  # noqa: ANN401  its fields are known at run time only
    """Return a message, its fields as attributes.

    Raises:
        ParseError: the bytes are none.
    """
    from google.protobuf.message import DecodeError  # noqa: PLC0415

    try:
        return _classes()[message].FromString(data)
    except (DecodeError, UnicodeDecodeError):
        raise ParseError(message, repr(data[:40])) from None


def text(value: str | bytes) -> str:
    """Return a text field, whatever bytes came in it."""
    return value if isinstance(value, str) else value.decode(errors="replace")


def pairs(entries: Iterable[Any]) -> Mapping[str, str]:
    """Return a map of texts."""
    return MappingProxyType({text(entry.key): text(entry.value) for entry in entries})


def to_json(message: Any) -> dict[str, Any]:  # noqa: ANN401  its fields are known at run time only
    """Return what is set in a message, as JSON has it; entries make an object."""
    return {
        # How a field tells that it is repeated differs between protobuf's versions.
        field.name: _to_json(value) if hasattr(value, "extend") else _one_to_json(value)
        for field, value in message.ListFields()
    }


def _to_json(values: Any) -> Any:  # noqa: ANN401  a list of messages or of scalars
    listed = list(values)
    if listed and getattr(getattr(listed[0], "DESCRIPTOR", None), "name", None) == "Entry":
        return dict(pairs(listed))
    return [_one_to_json(each) for each in listed]


def _one_to_json(value: Any) -> Any:  # noqa: ANN401  a message or a scalar
    if hasattr(value, "ListFields"):
        return to_json(value)
    return text(value) if isinstance(value, bytes) else value


def entries(values: Mapping[str, str]) -> list[dict[str, str]]:
    """Return a map of texts as `encode` takes it."""
    return [{"key": key, "value": value} for key, value in values.items()]


def prepare() -> None:
    """Import protobuf and build the messages.

    Raises:
        SourceUnavailable: protobuf is not installed.
    """
    _classes()


def message_classes(package: str, table: str) -> Mapping[str, Any]:
    """Return protobuf's classes for the messages of a table, by name.

    Raises:
        SourceUnavailable: protobuf is not installed.
    """
    try:
        from google.protobuf import descriptor_pool, message_factory  # noqa: PLC0415
    except ImportError as error:
        message = "needs grpcio and protobuf, which are not installed"
        raise SourceUnavailable(message, REMEDY) from error
    pool = descriptor_pool.DescriptorPool()
    file = _file(package, table)
    pool.Add(file)
    names = [f"{package}.{message.name}" for message in file.message_type]
    return {name: message_factory.GetMessageClass(pool.FindMessageTypeByName(name)) for name in names}


@cache
def _classes() -> Mapping[str, Any]:
    return MappingProxyType(
        {name: each for package, table in _TABLES.items() for name, each in message_classes(package, table).items()}
    )


def _file(package: str, table: str) -> Any:  # noqa: ANN401  protobuf is imported late
    from google.protobuf.descriptor_pb2 import FieldDescriptorProto, FileDescriptorProto  # noqa: PLC0415

    file = FileDescriptorProto(name=package, package=package, syntax="proto2")
    for name, fields in re.findall(r"(\w+)\{([^}]*)\}", table):
        message = file.message_type.add(name=name)
        for field, number, kind, star in re.findall(r"(\w+)=(\d+)(?::(\w+))?(\*?)", fields):
            label = FieldDescriptorProto.LABEL_REPEATED if star else FieldDescriptorProto.LABEL_OPTIONAL
            added = message.field.add(name=field, number=int(number), label=label)
            if kind[:1].isupper():
                added.type, added.type_name = FieldDescriptorProto.TYPE_MESSAGE, f".{package}.{kind}"
            else:
                added.type = FieldDescriptorProto.Type.Value(f"TYPE_{(kind or 'string').upper()}")
    return file
