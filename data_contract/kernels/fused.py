"""Fused multiply-add with one rounding, and sums of it in a fixed order, on any processor."""

from llvmlite import ir
from numba.core import cgutils, types
from numba.core.errors import TypingError
from numba.extending import intrinsic

__all__ = ["add_eight", "add_four_twice", "add_sixteen", "dot", "fma"]

WIDTHS = (32, 4, 1)  # products summed side by side: whole rounds, what they leave, the last ones
PIXELS = (16, 1)  # of a sum of rows: a vector of the widest registers, then those that are left
EIGHT, FOUR = 8, 4  # rows added at once: to one sum, to two
SIXTEEN = 16  # sums side by side


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
            fused = _fused(builder, lanes)
            zero = ir.Constant(lanes, [0.0] * width)
            first = builder.insert_element(zero, total, ir.Constant(ir.IntType(32), 0))
            sums = cgutils.alloca_once_value(builder, first)
            with cgutils.for_range_slice(builder, start, stop, count) as (index, _):
                factors = [_load(builder, array.data, index, lanes) for array in arrays]
                builder.store(builder.call(fused, [*factors, builder.load(sums)]), sums)
            total, start = _added_up(builder, builder.load(sums), width), stop
        return total

    return types.float32(left, right), generate


@intrinsic
def add_eight(typing_context, total, coef, rows, weights, start):
    """Add eight weighted rows of ``coef``, pixel ``start`` on, to a sum of shape (n_pixel,).

    ``total`` float32, ``rows`` int32 (8,) and ``weights`` float32 (8,) are contiguous, and so are
    the pixels of ``coef`` float32; other layouts do not compile. The order of a pixel's sum is
    fixed. Written out, because the compiler uses half of a wide register where it may choose.
    """
    if any(kind.layout != "C" for kind in (total, coef, rows, weights)):
        raise TypingError("add_eight reads neighbouring numbers: every array has to be contiguous")

    def generate(context, builder, signature, arguments):
        total, coef, rows, weights = (
            context.make_array(kind)(context, builder, value)
            for kind, value in zip(signature.args[:4], arguments[:4], strict=True)
        )
        begins = _begins(builder, coef, rows, arguments[4], EIGHT)
        _add_rows(builder, [total], begins, [_numbers(builder, weights, EIGHT)])
        return context.get_dummy_value()

    return types.void(total, coef, rows, weights, start), generate


@intrinsic
def add_four_twice(typing_context, total, other, coef, rows, weights, others, start):
    """Add four rows of ``coef``, read once, to two sums with weights of their own.

    As twice `add_eight` would add four: ``other`` and ``others`` are the second sum and its
    weights. Four rows and not eight, whose weights registers of eight numbers have no room for.
    """
    if any(kind.layout != "C" for kind in (total, other, coef, rows, weights, others)):
        raise TypingError("add_four_twice reads neighbouring numbers: arrays have to be contiguous")

    def generate(context, builder, signature, arguments):
        total, other, coef, rows, weights, others = (
            context.make_array(kind)(context, builder, value)
            for kind, value in zip(signature.args[:6], arguments[:6], strict=True)
        )
        begins = _begins(builder, coef, rows, arguments[6], FOUR)
        factors = [_numbers(builder, own, FOUR) for own in (weights, others)]
        _add_rows(builder, [total, other], begins, factors)
        return context.get_dummy_value()

    return types.void(total, other, coef, rows, weights, others, start), generate


def _begins(builder, coef, rows, start, count):
    """Where the pixels of some rows of a matrix begin, from one on."""
    return [_row(builder, coef, row, start) for row in _numbers(builder, rows, count)]


def _numbers(builder, array, count):
    """The first numbers of an array."""
    places = [ir.Constant(ir.IntType(64), k) for k in range(count)]
    return [builder.load(builder.gep(array.data, [place])) for place in places]


def _add_rows(builder, totals, begins, factors):
    """Add weighted rows, four at a time, to each of some sums with factors of its own."""
    size = cgutils.unpack_tuple(builder, totals[0].shape)[0]
    first = ir.Constant(size.type, 0)
    for width in PIXELS:
        count = ir.Constant(size.type, width)
        stop = builder.mul(builder.sdiv(size, count), count)
        lanes = ir.VectorType(ir.FloatType(), width)
        repeated = [[_repeated(builder, factor, lanes) for factor in own] for own in factors]
        with cgutils.for_range_slice(builder, first, stop, count) as (index, _):
            values = [_load(builder, begin, index, lanes) for begin in begins]
            for total, own in zip(totals, repeated, strict=True):
                sums = _load(builder, total.data, index, lanes)
                for k in range(0, len(begins), FOUR):
                    four = _sum_of_four(builder, own[k : k + FOUR], values[k : k + FOUR], lanes)
                    sums = builder.fadd(sums, four)
                place = builder.bitcast(builder.gep(total.data, [index]), lanes.as_pointer())
                builder.store(sums, place, align=4)
        first = stop


@intrinsic
def add_sixteen(typing_context, sums, values):
    """Add ``values`` to 16 ``sums`` in turn, both contiguous float64; what is no round is left.

    Written out, because the compiler keeps sums of a loop in memory, where each waits for itself.
    """
    if sums.layout != "C" or values.layout != "C":
        raise TypingError("add_sixteen reads neighbouring numbers: arrays have to be contiguous")

    def generate(context, builder, signature, arguments):
        sums, values = (
            context.make_array(kind)(context, builder, value)
            for kind, value in zip(signature.args, arguments, strict=True)
        )
        size = cgutils.unpack_tuple(builder, values.shape)[0]
        count, first = ir.Constant(size.type, SIXTEEN), ir.Constant(size.type, 0)
        stop = builder.mul(builder.sdiv(size, count), count)
        lanes = ir.VectorType(ir.DoubleType(), SIXTEEN)
        kept = cgutils.alloca_once_value(builder, _load(builder, sums.data, first, lanes))
        with cgutils.for_range_slice(builder, first, stop, count) as (index, _):
            more = _load(builder, values.data, index, lanes)
            builder.store(builder.fadd(builder.load(kept), more), kept)
        place = builder.bitcast(sums.data, lanes.as_pointer())
        builder.store(builder.load(kept), place, align=8)
        return context.get_dummy_value()

    return types.void(sums, values), generate


def _row(builder, coef, row, start):
    """Where the pixels of a row of a matrix begin, from one on."""
    stride = cgutils.unpack_tuple(builder, coef.strides)[0]
    offset = builder.mul(builder.sext(row, stride.type), stride)
    place = builder.gep(builder.bitcast(coef.data, ir.IntType(8).as_pointer()), [offset])
    return builder.gep(builder.bitcast(place, ir.FloatType().as_pointer()), [start])


def _sum_of_four(builder, weights, values, lanes):
    """Sum of four products, the second one first."""
    fused = _fused(builder, lanes)
    total = builder.fmul(weights[1], values[1])
    for k in (0, 2, 3):
        total = builder.call(fused, [weights[k], values[k], total])
    return total


def _fused(builder, lanes):
    """The multiply-add of vectors, with one rounding."""
    kind = ir.FunctionType(lanes, [lanes] * 3)
    return cgutils.get_or_insert_function(builder.module, kind, f"llvm.fma.v{lanes.count}f32")


def _repeated(builder, value, lanes):
    """A number in every lane."""
    empty = ir.Constant(lanes, ir.Undefined)
    filled = builder.insert_element(empty, value, ir.IntType(32)(0))
    places = ir.Constant(ir.VectorType(ir.IntType(32), lanes.count), [0] * lanes.count)
    return builder.shuffle_vector(filled, empty, places)


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
