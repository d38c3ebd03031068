"""TensorFlow's own operators in a LiteRT model (`Flex...`): the same bytes each time.

The converter takes them along where LiteRT has no kernel, for instance for the lists of a recurrent layer. Each holds a
`NodeDef` of Protocol Buffers, whose attributes are written in the order of a hash, which differs between processes.

Source: TensorFlow, `lite/delegates/flex`: the options of such an operator are a FlexBuffers vector of its name and its NodeDef.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator

_PREFIX = b"Flex"


def with_attributes_in_order(data: bytes) -> bytes:
    """Return the LiteRT model `data` with the attributes of TensorFlow's operators in the order of their names.

    They take as many bytes as before, so they stay where they are.
    """
    import numpy as np
    from flatbuffers import flexbuffers
    from tensorflow.core.framework.node_def_pb2 import NodeDef

    made = bytearray(data)
    for options in _options(made):
        content = options.tobytes()
        written = flexbuffers.GetRoot(content).AsVector[1].AsStringBytes
        ordered = NodeDef.FromString(written).SerializeToString(deterministic=True)
        start = content.index(written)
        options[start : start + len(written)] = np.frombuffer(ordered, np.uint8)
    return bytes(made)


def _options(made: bytearray) -> Iterator[Any]:
    """Yield the options of each of TensorFlow's operators in a model, uint8: a view of `made`."""
    from tensorflow.lite.python.schema_py_generated import Model

    model = Model.GetRootAs(made)
    flex = {
        number
        for number in range(model.OperatorCodesLength())
        if (model.OperatorCodes(number).CustomCode() or b"").startswith(_PREFIX)
    }
    for graph in map(model.Subgraphs, range(model.SubgraphsLength())):
        for operator in map(graph.Operators, range(graph.OperatorsLength())):
            if operator.OpcodeIndex() in flex:
                yield operator.CustomOptionsAsNumpy()
