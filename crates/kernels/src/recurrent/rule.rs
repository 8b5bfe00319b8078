//! What a recurrent network does in one place: gates and state, sixteen rows at a time, and the way back.

use crate::math::{sigmoid, tanh};
use crate::raw::{Lane, Simd};

/// The rule of a place. For every unit it keeps [`Rule::GROUPS`] vectors beside each other: on the way in they are what the
/// input and the state before give to its gates, then what the way back needs, and after that the gradients of the gates.
pub(super) trait Rule: Copy + Send {
    /// Gates, which are the rows of a unit in each matrix of weights.
    const GATES: usize;
    /// Vectors that are kept of a unit.
    const GROUPS: usize;
    /// Of each gate, the vector that the product with the input goes to.
    const INPUT: [usize; 4];
    /// Of each gate, the vector that the product with the state goes to.
    const STATE: [usize; 4];
    /// Whether there is a second state besides the output.
    const MEMORY: bool;

    /// The new state, and the new second one: `before` are both as they were.
    fn forward<S: Simd>(simd: S, kept: &mut [Lane], before: [S::V; 2]) -> [S::V; 2];

    /// Leaves the gradients of the gates in `kept`, and gives those of the states before, that of the first without what
    /// comes through the gates. `slopes` are those of both states; `before` and `now` are the second state, or the only one.
    fn backward<S: Simd>(simd: S, kept: &mut [Lane], slopes: [S::V; 2], before: S::V, now: S::V) -> [S::V; 2];
}

/// `slope · (1 - value²)`.
#[inline(always)]
fn through_tanh<S: Simd>(simd: S, slope: S::V, value: S::V) -> S::V {
    simd.mul(slope, simd.sub(simd.splat(1.0), simd.mul(value, value)))
}

/// `slope · value · (1 - value)`.
#[inline(always)]
fn through_sigmoid<S: Simd>(simd: S, slope: S::V, value: S::V) -> S::V {
    simd.mul(slope, simd.sub(value, simd.mul(value, value)))
}

/// `h' = tanh(a)`.
#[derive(Clone, Copy)]
pub(super) struct Tanh;

impl Rule for Tanh {
    const GATES: usize = 1;
    const GROUPS: usize = 1;
    const INPUT: [usize; 4] = [0; 4];
    const STATE: [usize; 4] = [0; 4];
    const MEMORY: bool = false;

    #[inline(always)]
    fn forward<S: Simd>(simd: S, kept: &mut [Lane], [_, other]: [S::V; 2]) -> [S::V; 2] {
        let [drive] = kept else { return [other; 2] };
        [tanh(simd, simd.load(drive)), other]
    }

    #[inline(always)]
    fn backward<S: Simd>(simd: S, kept: &mut [Lane], slopes: [S::V; 2], _: S::V, now: S::V) -> [S::V; 2] {
        let zero = simd.splat(0.0);
        if let [drive] = kept {
            simd.store(through_tanh(simd, slopes[0], now), drive);
        }
        [zero; 2]
    }
}

/// `c' = f c + i g`, `h' = o tanh(c')`; the gates are i, f, g and o.
#[derive(Clone, Copy)]
pub(super) struct Lstm;

impl Rule for Lstm {
    const GATES: usize = 4;
    const GROUPS: usize = 4;
    const INPUT: [usize; 4] = [0, 1, 2, 3];
    const STATE: [usize; 4] = [0, 1, 2, 3];
    const MEMORY: bool = true;

    #[inline(always)]
    fn forward<S: Simd>(simd: S, kept: &mut [Lane], [_, memory]: [S::V; 2]) -> [S::V; 2] {
        let [input, forget, new, output] = kept else { return [memory; 2] };
        let (i, f) = (sigmoid(simd, simd.load(input)), sigmoid(simd, simd.load(forget)));
        let (g, o) = (tanh(simd, simd.load(new)), sigmoid(simd, simd.load(output)));
        let next = simd.fma(f, memory, simd.mul(i, g));
        simd.store(i, input);
        simd.store(f, forget);
        simd.store(g, new);
        simd.store(o, output);
        [simd.mul(o, tanh(simd, next)), next]
    }

    #[inline(always)]
    fn backward<S: Simd>(simd: S, kept: &mut [Lane], [slope, memory]: [S::V; 2], before: S::V, now: S::V) -> [S::V; 2] {
        let zero = simd.splat(0.0);
        let [input, forget, new, output] = kept else { return [zero; 2] };
        let (i, f, g, o) = (simd.load(input), simd.load(forget), simd.load(new), simd.load(output));
        let bent = tanh(simd, now);
        let memory = simd.add(memory, through_tanh(simd, simd.mul(slope, o), bent));
        simd.store(through_sigmoid(simd, simd.mul(memory, g), i), input);
        simd.store(through_sigmoid(simd, simd.mul(memory, before), f), forget);
        simd.store(through_tanh(simd, simd.mul(memory, i), g), new);
        simd.store(through_sigmoid(simd, simd.mul(slope, bent), o), output);
        [zero, simd.mul(memory, f)]
    }
}

/// `h' = n + z (h - n)` with `n = tanh(a + r b)`; the gates are r, z and n, of which the parts a and b are kept apart.
#[derive(Clone, Copy)]
pub(super) struct Gru;

impl Rule for Gru {
    const GATES: usize = 3;
    const GROUPS: usize = 4;
    const INPUT: [usize; 4] = [0, 1, 2, 0];
    const STATE: [usize; 4] = [0, 1, 3, 0];
    const MEMORY: bool = false;

    #[inline(always)]
    fn forward<S: Simd>(simd: S, kept: &mut [Lane], [state, other]: [S::V; 2]) -> [S::V; 2] {
        let [reset, update, new, inner] = kept else { return [other; 2] };
        let (r, z) = (sigmoid(simd, simd.load(reset)), sigmoid(simd, simd.load(update)));
        let n = tanh(simd, simd.fma(r, simd.load(inner), simd.load(new)));
        simd.store(r, reset);
        simd.store(z, update);
        simd.store(n, new);
        [simd.fma(z, simd.sub(state, n), n), other]
    }

    #[inline(always)]
    fn backward<S: Simd>(simd: S, kept: &mut [Lane], [slope, _]: [S::V; 2], before: S::V, _: S::V) -> [S::V; 2] {
        let zero = simd.splat(0.0);
        let [reset, update, new, inner] = kept else { return [zero; 2] };
        let (r, z, n, b) = (simd.load(reset), simd.load(update), simd.load(new), simd.load(inner));
        let kept = simd.mul(slope, z);
        let drive = through_tanh(simd, simd.sub(slope, kept), n);
        simd.store(through_sigmoid(simd, simd.mul(drive, b), r), reset);
        simd.store(through_sigmoid(simd, simd.mul(slope, simd.sub(before, n)), z), update);
        simd.store(drive, new);
        simd.store(simd.mul(drive, r), inner);
        [kept, zero]
    }
}
