"""Comparisons of 64 numbers as the bits of one word, so that few are looked at one by one."""

from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.core.errors import TypingError
from numba.extending import intrinsic

__all__ = ["FLAGS", "count_flags", "first_flag", "flags_up_to"]

FLAGS = 64  # of a word


@intrinsic
def flags_up_to(typing_context, keys, start, limit):
    """Which of 64 int32 ``keys`` (contiguous), from ``start`` on, are up to a limit, as uint64."""
    if keys.layout != "C":
        raise TypingError("flags_up_to reads neighbouring numbers: keys have to be contiguous")

    def generate(context, builder, signature, arguments):
        kind = ir.VectorType(ir.IntType(32), FLAGS)
        array = context.make_array(signature.args[0])(context, builder, arguments[0])
        place = builder.gep(array.data, [arguments[1]])
        values = builder.load(builder.bitcast(place, kind.as_pointer()), align=4)
        empty = ir.Constant(kind, ir.Undefined)
        first = builder.insert_element(empty, arguments[2], ir.IntType(32)(0))
        limits = builder.shuffle_vector(first, empty, ir.Constant(kind, [0] * FLAGS))
        return builder.bitcast(builder.icmp_signed("<=", values, limits), ir.IntType(FLAGS))

    return types.uint64(keys, start, types.int32), generate


@intrinsic
def count_flags(typing_context, word):
    """How many bits of a uint64 are set, int64."""

    def generate(context, builder, signature, arguments):
        return builder.ctpop(arguments[0])

    return types.int64(types.uint64), generate


@intrinsic
def first_flag(typing_context, word):
    """The lowest bit of a uint64 that is set, int64; 64 where none is."""

    def generate(context, builder, signature, arguments):
        return builder.cttz(arguments[0], cgutils.false_bit)

    return types.int64(types.uint64), generate
