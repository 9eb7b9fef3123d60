"""Fused multiply-add with one rounding, and sums of it in a fixed order, on any processor."""

from llvmlite import ir
from numba.core import cgutils, types
from numba.extending import intrinsic

__all__ = ["dot", "fma"]

WIDTHS = (32, 4, 1)  # products summed side by side: whole rounds, what they leave, the last ones


@intrinsic
def fma(typing_context, a, b, c):
    """``a * b + c`` with one rounding; floats of one type.

    Written out rather than left to the compiler, which would fuse only where the processor has
    the instruction: elsewhere this is a call of the system's library, slow and equal.
    """

    def generate(context, builder, signature, arguments):
        return builder.fma(*arguments)

    return a(a, b, c), generate


@intrinsic
def dot(typing_context, left, right):
    """Sum of products of two contiguous float32 arrays of one length.

    32 sums run side by side, are added up in halves and quarters, and four sums and then one go
    on with the rest. The compiler's own order would depend on the width of vector registers.
    """

    def generate(context, builder, signature, arguments):
        arrays = [
            context.make_array(kind)(context, builder, value)
            for kind, value in zip(signature.args, arguments, strict=True)
        ]
        size = cgutils.unpack_tuple(builder, arrays[0].shape)[0]
        total = ir.Constant(ir.FloatType(), 0.0)
        start = ir.Constant(size.type, 0)
        for width in WIDTHS:
            count = ir.Constant(size.type, width)
            stop = builder.mul(builder.sdiv(size, count), count)
            lanes = ir.VectorType(ir.FloatType(), width)
            kind = ir.FunctionType(lanes, [lanes] * 3)
            fused = cgutils.get_or_insert_function(builder.module, kind, f"llvm.fma.v{width}f32")
            zero = ir.Constant(lanes, [0.0] * width)
            first = builder.insert_element(zero, total, ir.Constant(ir.IntType(32), 0))
            sums = cgutils.alloca_once_value(builder, first)
            with cgutils.for_range_slice(builder, start, stop, count) as (index, _):
                factors = [_load(builder, array.data, index, lanes) for array in arrays]
                builder.store(builder.call(fused, [*factors, builder.load(sums)]), sums)
            total, start = _added_up(builder, builder.load(sums), width), stop
        return total

    return types.float32(left, right), generate


def _load(builder, data, index, lanes):
    """Read neighbouring numbers from an index on."""
    place = builder.bitcast(builder.gep(data, [index]), lanes.as_pointer())
    return builder.load(place, align=4)


def _added_up(builder, sums, width):
    """Sum of the lanes: groups of eight one after the other, then halves."""
    if width > 8:
        groups = [_part(builder, sums, k, 8) for k in range(0, width, 8)]
        sums = groups[0]
        for group in groups[1:]:
            sums = builder.fadd(group, sums)
        width = 8
    while width > 1:
        width //= 2
        sums = builder.fadd(_part(builder, sums, 0, width), _part(builder, sums, width, width))
    return builder.extract_element(sums, ir.Constant(ir.IntType(32), 0))


def _part(builder, sums, first, width):
    """Lanes from the first on."""
    places = ir.Constant(ir.VectorType(ir.IntType(32), width), [first + k for k in range(width)])
    return builder.shuffle_vector(sums, sums, places)
